"""`SwapEMAWeights` beside a search: what is judged is what remains, the averages."""

import keras
import numpy as np
import pytest
from fitting import Spy, decide, digit_model, leftovers, short_fit, widths
from training import compiled, same, state_of
from with_keras import ACCEPTED, ORDERS, evaluated, search_with

import keras_snare
from keras_snare import SnareCallback
from keras_snare.surgery.optimizers import moving_averages


def _averaging(rate=0.01, momentum=0.9):
    return keras.optimizers.Adam(rate, use_ema=True, ema_momentum=momentum)


def _averages(model):
    found = moving_averages(model.optimizer)
    return [found[id(weight)].numpy() for weight in model.trainable_variables]


@pytest.mark.parametrize(
    ("order", "wrapped"), [("before", True), ("behind", False)], ids="wrapped plain".split()
)
def test_the_metric_of_the_report_is_that_of_the_averages_that_remain(monkeypatch, order, wrapped):
    adam = _averaging()
    model = digit_model(
        keras.optimizers.LossScaleOptimizer(adam, 1.0) if wrapped else adam, run_eagerly=True
    )
    swap = keras.callbacks.SwapEMAWeights()
    _, snare, history, _ = search_with(monkeypatch, swap, order, model=model)
    assert widths(model) == ACCEPTED
    assert same(model.get_weights(), _averages(model))
    assert evaluated(model)["val_accuracy"] == pytest.approx(snare.report.metric)
    assert evaluated(model)["val_loss"] == pytest.approx(history["val_loss"][1])
    assert leftovers(model) == []


@pytest.mark.parametrize("order", ORDERS)
def test_a_cut_that_is_accepted_at_once_was_judged_by_its_averages(monkeypatch, order):
    decide(monkeypatch, True)
    model = digit_model(_averaging(0.03, 0.5), run_eagerly=True)
    snare = SnareCallback(eps=0.1, monitor="val_loss", retrain_epochs=1, max_trials=1)
    pair = [keras.callbacks.SwapEMAWeights(), snare]
    short_fit(model, pair if order == "before" else pair[::-1], epochs=2)
    (row,) = snare.report.rows
    assert (row.epochs, row.accepted) == (0, True)
    assert widths(model) == ACCEPTED
    assert same(model.get_weights(), _averages(model))
    assert evaluated(model)["val_loss"] == pytest.approx(row.metric)


def test_averages_that_training_puts_into_the_model_need_no_swap(monkeypatch):
    decide(monkeypatch, False, True, False)
    adam = keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=4)
    model = digit_model(adam, run_eagerly=True)
    snare = SnareCallback(eps=0.1, retrain_epochs=1, max_trials=1)
    short_fit(model, [snare], epochs=3)
    assert len(snare.report.rows) == 1
    assert evaluated(model)["val_accuracy"] == pytest.approx(snare.report.metric)


def test_a_model_that_was_given_comes_back_as_it_was_given(monkeypatch):
    """Before its first step, an optimizer's averages are zeros."""
    model = digit_model(run_eagerly=True)
    short_fit(model, [], epochs=8)
    compiled(model, _averaging(1.0), run_eagerly=True)
    given, figures = model.get_weights(), evaluated(model)
    decide(monkeypatch)
    snare = SnareCallback(eps=0.1, retrain_epochs=1, max_trials=1)
    short_fit(model, [snare, keras.callbacks.SwapEMAWeights()], epochs=3)
    assert snare.report.baseline == pytest.approx(figures["val_accuracy"])
    assert [row.accepted for row in snare.report.rows] == [False]
    assert same(model.get_weights(), given)
    assert evaluated(model) == pytest.approx(figures)


def test_a_model_that_was_trained_is_judged_by_its_averages(monkeypatch):
    decide(monkeypatch)
    swap = keras.callbacks.SwapEMAWeights()
    model = digit_model(_averaging(0.02, 0.99), run_eagerly=True)
    short_fit(model, [swap], epochs=3)
    averages, weights = model.get_weights(), [one + 1 for one in model.get_weights()]
    figures = evaluated(model)
    model.set_weights(weights)
    model.optimizer.learning_rate = 0.0
    snare = SnareCallback(eps=0.1, monitor="val_loss", retrain_epochs=1, max_trials=1)
    short_fit(model, [snare, swap], epochs=2)
    assert snare.report.baseline == pytest.approx(figures["val_loss"], rel=1e-4)
    assert not snare.report.rows[0].accepted
    # Keras exchanges them by sums and differences.
    for one, average in zip(model.get_weights(), averages, strict=True):
        np.testing.assert_allclose(one, average, atol=1e-6)


def test_stored_networks_are_those_that_were_judged(monkeypatch, tmp_path):
    model, swap = digit_model(_averaging(), run_eagerly=True), keras.callbacks.SwapEMAWeights()
    _, snare, history, _ = search_with(monkeypatch, swap, model=model, directory=tmp_path / "run")
    loaded = keras_snare.load_candidate(tmp_path / "run", 1)
    assert widths(loaded) == ACCEPTED
    assert same(loaded.get_weights(), model.get_weights())
    assert evaluated(loaded)["val_accuracy"] == pytest.approx(snare.report.metric)
    base = keras_snare.load_candidate(tmp_path / "run", 0)
    assert evaluated(base)["val_loss"] == pytest.approx(history["val_loss"][0])


def test_averages_without_validation_on_them_are_refused():
    model, spy = digit_model(_averaging(), run_eagerly=True), Spy()
    model.optimizer.build(model.trainable_variables)
    before = state_of(model)
    with pytest.raises(ValueError, match="use_ema=True.* Add keras.callbacks.SwapEMAWeights"):
        short_fit(model, [spy, SnareCallback(eps=0.1)])
    assert spy.states == []
    assert same(state_of(model), before)
    # A metric of training is not of the averages anyway.
    snare = SnareCallback(eps=1.0, monitor="accuracy", retrain_epochs=1, max_trials=1)
    short_fit(model, [snare], epochs=2, validation_data=None)
    assert same(model.get_weights(), _averages(model))
