"""Tickets as data: files, other models, other masks and fresh values."""

import random

import keras
import numpy as np
import pytest
from keras import layers
from lottery_models import network, train
from training import same, state_of, weights_of

from keras_snare import (
    InvalidPlanError,
    LotteryTicketCallback,
    Masks,
    SnapshotError,
    Ticket,
    UnsupportedModelError,
)
from keras_snare.masking import TrainingState, initial_values


@pytest.fixture
def ticket():
    model = network()
    generator = np.random.default_rng(0)
    masks = Masks(
        {
            f"{name}/kernel": generator.random(tuple(model.get_layer(name).kernel.shape)) < 0.5
            for name in ("first", "second")
        }
    )
    return Ticket.of(model, masks, TrainingState.of(model), 2)


def test_a_file_brings_back_the_ticket(ticket, tmp_path):
    path = tmp_path / "ticket.npz"
    ticket.save(path)
    again = Ticket.load(path)
    assert repr(again) == repr(ticket)
    assert (again.round, again.places) == (2, ticket.places)
    assert same(list(again.masks.values()), list(ticket.masks.values()))
    assert same(again.weights, ticket.weights)
    assert same(list(again.state.optimizer), list(ticket.state.optimizer))
    assert [one.dtype for one in again.weights] == [one.dtype for one in ticket.weights]


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "masks"])
def test_a_damaged_file_is_refused(ticket, tmp_path, damage):
    path = tmp_path / "ticket.npz"
    ticket.save(path)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez(path, **{**arrays, "weight/00000": arrays["weight/00000"] + 1})
    elif damage == "missing":
        path.unlink()
    else:
        ticket.masks.save(path)
    with pytest.raises(SnapshotError, match="damaged|'ticket 1'"):
        Ticket.load(path)


def test_a_ticket_needs_its_model(ticket):
    wider = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, name="first"),
            layers.Dense(5, name="second"),
        ]
    )
    others = {
        "Received: model .* with 4 weights": wider,
        "state of an optimizer with .* Received: model .* with SGD": network("sgd"),
        "which model .* does not have": keras.Sequential([keras.Input((4,)), layers.Dense(2)]),
    }
    for message, model in others.items():
        if not model.compiled:
            model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        before = state_of(model)
        with pytest.raises(InvalidPlanError, match=message):
            ticket.apply(model, optimizer=True)
        assert same(state_of(model), before)
    model = network()
    model.optimizer = None
    with pytest.raises(UnsupportedModelError, match="optimizer=True needs a model"):
        ticket.apply(model, optimizer=True)
    ticket.apply(model)
    assert same(weights_of(model), ticket.weights)


def test_other_masks_keep_what_the_ticket_keeps(ticket):
    shuffled = ticket.masks.shuffled(1)
    for name, kept in ticket.masks.items():
        assert kept.sum() == shuffled[name].sum()
        assert not np.array_equal(kept, shuffled[name])
    with pytest.raises(InvalidPlanError, match="Take the ticket of round 0"):
        ticket.with_masks(shuffled)
    fewer = Masks({name: kept & shuffled[name] for name, kept in ticket.masks.items()})
    found = ticket.with_masks(fewer)
    assert np.array_equal(found.weights[0], ticket.weights[0] * shuffled["first/kernel"])


def _seeded_model():
    own = keras.initializers.RandomNormal(seed=5)
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            layers.Normalization(mean=1.0, variance=2.0, name="given"),
            layers.LSTM(3, kernel_initializer=own, name="lstm"),
            layers.Dense(2, kernel_initializer="orthogonal", name="frozen", trainable=False),
            layers.Dense(2, name="logits"),
        ]
    )
    model.compile("sgd", "mse")
    return model


def test_fresh_values_come_from_the_initializers():
    model = _seeded_model()
    before, state = weights_of(model), random.getstate()
    one, again, two = (initial_values(model, seed) for seed in (1, 1, 2))
    assert random.getstate() == state
    assert same(weights_of(model), before)
    names = {at: variable.path for at, variable in enumerate(model.weights)}
    assert {names[at] for at in one} == {variable.path for variable in model.trainable_variables}
    assert same(list(one.values()), list(again.values()))
    for at, value in one.items():
        if value.ndim == 1:  # Biases, of which that of a forget gate begins at one.
            assert np.array_equal(value, before[at])
        else:
            assert not np.isclose(value, before[at]).any()
            assert not np.isclose(value, two[at]).any()


def test_a_ticket_with_fresh_values_keeps_its_masks(ticket):
    model = network()
    before = weights_of(model)
    fresh = ticket.reinitialized(model, seed=4)
    assert same(weights_of(model), before)
    assert fresh.masks is ticket.masks
    kept = ticket.masks["first/kernel"]
    assert np.all(fresh.weights[0][~kept] == 0)
    assert not np.isclose(fresh.weights[0], ticket.weights[0])[kept].any()
    with pytest.raises(InvalidPlanError, match="does not have"):
        ticket.reinitialized(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))


def test_a_ticket_of_bfloat16_goes_through_a_file(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = network(keras.optimizers.SGD(0.1, momentum=0.5))
        lottery = LotteryTicketCallback(1, 0.5, directory=tmp_path)
        train(model, [lottery], 2)
        ticket = lottery.tickets[1]
        ticket.apply(model, optimizer=True)
        assert same(weights_of(model)[:1], [ticket.weights[0].astype(weights_of(model)[0].dtype)])
        assert ticket.masks.kept == 69 - round(0.5 * 69)
    finally:
        keras.config.set_dtype_policy("float32")
