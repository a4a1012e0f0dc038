"""What `LotteryTicketCallback` refuses, before anything changes."""

import keras
import numpy as np
import pytest
from lottery_models import network, train
from training import same, weights_of

from keras_snare import (
    LotteryTicketCallback,
    MagnitudePruneCallback,
    SnapshotError,
    UnsupportedModelError,
)
from keras_snare.callbacks.rounds import Rounds

ARGUMENTS = {
    "`rounds` is an integer, 1 or more. Received: rounds=0": {"rounds": 0},
    "`epochs_per_round` is an integer": {"epochs_per_round": 1.5},
    "`seed` is an integer, 0 or more": {"seed": -1},
    "`fraction` is the share .* Received: fraction=1": {"fraction": 1},
    "`output_fraction` is the share": {"output_fraction": 0, "scope": "layer"},
    "`output_fraction` is for scope='layer'": {"output_fraction": 0.1},
    "`rewind_to` is 'init', or": {"rewind_to": "end"},
    "`rewind_to` is 'init'.* Received: rewind_to=-1": {"rewind_to": -1},
    "`per` is one of 'epoch', 'step'": {"per": "batch"},
    "`rewind` is one of": {"rewind": "all"},
    "`scope` is one of 'global', 'layer'": {"scope": "erk"},
    "`control` is one of None, 'reinitialize'": {"control": "shuffle"},
    "nothing to rewind to but 'init'": {"control": "reinitialize", "rewind_to": 2},
    "and the weights": {"control": "reinitialize", "rewind": "learning_rate"},
    "does not look at data": {"scoring_data": (np.zeros((1, 4)), np.zeros(1))},
    "whether a higher 'speed' is better": {"monitor": "speed"},
    "`mode` says which way": {"mode": "max"},
    "criterion for connections": {"criterion": "largest"},
}


@pytest.mark.parametrize(("message", "options"), ARGUMENTS.items(), ids=range(len(ARGUMENTS)))
def test_arguments(message, options):
    with pytest.raises((ValueError, TypeError), match=message):
        LotteryTicketCallback(**options)


def test_a_directory_with_tickets_of_another_run_is_left_alone(tmp_path):
    model = network()
    (tmp_path / "ticket_99.npz").write_bytes(b"of another run")
    before = weights_of(model)
    with pytest.raises(SnapshotError, match="ticket_99.npz, of another run"):
        train(model, [LotteryTicketCallback(1, directory=tmp_path)], 2)
    assert (tmp_path / "ticket_99.npz").read_bytes() == b"of another run"
    assert same(weights_of(model), before)


def test_a_directory_is_a_path():
    with pytest.raises(TypeError, match="`directory` is a path or None"):
        LotteryTicketCallback(directory=3)


FITS = {
    "rounds=2 are 3 trainings of 2 epochs, so epochs=6. Received: epochs=7.": (
        {"epochs_per_round": 2},
        {"epochs": 7},
    ),
    "equally long rounds, so epochs=6 or 9. Received: epochs=7.": ({}, {"epochs": 7}),
    "epochs=7 or 10. Received: epochs=9, initial_epoch=1.": (
        {},
        {"epochs": 9, "initial_epoch": 1},
    ),
    "all but the first leave out 1 epochs, so epochs=4 or 7. Received: epochs=5": (
        {"rewind_to": 1},
        {"epochs": 5},
    ),
    "The point of rewinding lies in the first round": (
        {"rewind_to": 2, "epochs_per_round": 2},
        {"epochs": 6},
    ),
    "monitor='val_accuracy' needs validation data": (
        {"monitor": "val_accuracy"},
        {"epochs": 3},
    ),
    "`monitor` is not a metric of the model": ({"monitor": "auc"}, {"epochs": 3}),
}


@pytest.mark.parametrize(("message", "case"), FITS.items(), ids=range(len(FITS)))
def test_fits(message, case):
    model, (options, fitting) = network(), case
    before = weights_of(model)
    with pytest.raises(ValueError, match=message):
        train(model, [LotteryTicketCallback(2, **options)], **fitting)
    assert same(weights_of(model), before)


CALLBACKS = {
    "EarlyStopping would end `fit` before the last round, which begins with epoch 4": (
        lambda path: keras.callbacks.EarlyStopping(start_from_epoch=3)
    ),
    "BackupAndRestore would go on": lambda path: keras.callbacks.BackupAndRestore(str(path)),
    "leaves averages in the model": (
        lambda path: keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    ),
    "One callback at a time can prune": lambda path: MagnitudePruneCallback(0.5),
}


@pytest.mark.parametrize(("message", "other"), CALLBACKS.items(), ids=range(len(CALLBACKS)))
def test_other_callbacks(tmp_path, message, other):
    model = network(keras.optimizers.Adam(use_ema=True))
    before = weights_of(model)
    with pytest.raises(ValueError, match=message):
        train(model, [other(tmp_path), LotteryTicketCallback(2)], 6)
    assert same(weights_of(model), before)


def test_a_step_has_to_be_one_at_which_control_comes_back():
    lottery = LotteryTicketCallback(1, rewind_to=1, per="step")
    with pytest.raises(ValueError, match="rewind_to=1 with steps_per_execution=2 and 2 steps"):
        train(network(steps_per_execution=2), [lottery], 2)


def test_fresh_values_need_a_configuration():
    class Own(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def call(self, inputs):
            return self.layer(inputs)

    model = Own(keras.layers.Dense(3, activation="softmax", name="logits"))
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    model(np.zeros((1, 4), dtype="float32"))
    with pytest.raises(UnsupportedModelError, match="cannot be built anew"):
        train(model, [LotteryTicketCallback(1, control="reinitialize")], 2)
    train(model, [LotteryTicketCallback(1, 0.25)], 2)
    assert np.count_nonzero(model.layer.kernel.numpy()) == 9


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("epochs", [1, 4])
@pytest.mark.parametrize("first", [0, 2])
def test_rounds_lie_one_behind_the_other(count, epochs, first):
    for skipped in range(epochs):
        rounds = Rounds(count, epochs, skipped, first)
        numbers = [rounds.number(first + at) for at in range(rounds.total)]
        positions = [rounds.position(first + at) for at in range(rounds.total)]
        whole = range(first, first + epochs)
        later = [whole[skipped:]] * count
        assert positions == [one for part in (whole, *later) for one in part]
        assert numbers == sorted(numbers)
        starts = [numbers.index(one) + first for one in range(count + 1)]
        assert starts == [rounds.start(one) for one in range(count + 1)]
