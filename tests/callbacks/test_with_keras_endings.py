"""Callbacks of Keras that end `fit`, or bring back weights of another epoch, beside a search."""

import keras
import pytest
from fitting import Bomb, Spy, decide, digit_model, leftovers, short_fit, widths
from training import same, state_of
from with_keras import ACCEPTED, ORDERS, Told, evaluated

from keras_snare import RankReduceCallback, SnareCallback

EarlyStopping = keras.callbacks.EarlyStopping
ModelCheckpoint = keras.callbacks.ModelCheckpoint
SwapEMAWeights = keras.callbacks.SwapEMAWeights


def _ended(monkeypatch, one, order, *others):
    """A fit that ends in trial 2, at the end of epoch 3; trial 1 was accepted after epoch 2."""
    decide(monkeypatch, False, True, False)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.1, retrain_epochs=3)
    pair = [one, snare] if order == "before" else [snare, one]
    short_fit(model, [*others, spy, *pair], epochs=9)
    assert len(spy.states) == 3
    assert widths(model) == ACCEPTED
    assert same(state_of(model), spy.states[1])
    assert evaluated(model)["val_accuracy"] == pytest.approx(snare.report.metric)
    assert leftovers(model) == []
    return snare.report


@pytest.mark.parametrize("order", ORDERS)
def test_early_stopping_leaves_the_accepted_network(monkeypatch, order):
    stop = EarlyStopping("quality", mode="max", patience=1)
    report = _ended(monkeypatch, stop, order, Told(1, 2, 2))
    assert stop.stopped_epoch == 2
    assert [row.reason for row in report.rows] == [
        "accepted",
        "undone: training ended before the verdict",
    ]


class Poison(keras.callbacks.Callback):
    """Has the weights be no numbers from a step of trial 2 on."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (2, 1):
            weights = self.model.get_weights()
            self.model.set_weights([float("nan") * one for one in weights])


@pytest.mark.parametrize("order", ORDERS)
def test_terminate_on_nan_leaves_the_accepted_network(monkeypatch, order):
    report = _ended(monkeypatch, keras.callbacks.TerminateOnNaN(), order, Poison())
    assert [row.reason for row in report.rows] == [
        "accepted",
        "rejected: the loss or the metric is not finite",
    ]


def test_terminate_on_nan_may_raise(monkeypatch):
    try:
        stop = keras.callbacks.TerminateOnNaN(raise_error=True)
    except TypeError:
        pytest.skip("this Keras's TerminateOnNaN does not raise")
    decide(monkeypatch, False, True, False)
    model, spy = digit_model(run_eagerly=True), Spy()
    with pytest.raises(RuntimeError, match="NaN or Inf"):
        short_fit(model, [spy, SnareCallback(eps=0.1, retrain_epochs=3), stop, Poison()], epochs=9)
    assert same(state_of(model), spy.states[1])
    assert leftovers(model) == []


def test_without_it_a_trial_that_diverges_is_undone_and_the_search_goes_on(monkeypatch):
    decide(monkeypatch, False, True, False, False, True)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.1, retrain_epochs=3, max_trials=3)
    short_fit(model, [spy, snare, Poison()], epochs=9)
    assert [row.accepted for row in snare.report.rows] == [True, False, True]
    assert snare.report.finished


def _checkpoint(path, **settings):
    return lambda folder: ModelCheckpoint(folder / path, save_weights_only=True, **settings)


REFUSED = {
    r"EarlyStopping\(restore_best_weights=True\) would bring back .* Leave restore": (
        lambda folder: EarlyStopping("loss", restore_best_weights=True, start_from_epoch=3)
    ),
    "BackupAndRestore keeps the weights .* give the callback that searches a `directory`": (
        lambda folder: keras.callbacks.BackupAndRestore(folder / "backup")
    ),
    r"ModelCheckpoint\(save_weights_only=True\) writes .* Leave save_weights_only out": (
        _checkpoint("m.weights.h5")
    ),
    r"ModelCheckpoint\(save_weights_only=True\) writes weights without the widths": (
        _checkpoint("m.weights.h5", monitor="val_loss", save_best_only=True)
    ),
    "SwapEMAWeights needs averages.*without use_ema": lambda folder: SwapEMAWeights(),
    r"SwapEMAWeights\(swap_on_epoch=True\) leaves .* Leave swap_on_epoch out": (
        lambda folder: SwapEMAWeights(swap_on_epoch=True)
    ),
}


@pytest.mark.parametrize("whole", [list, tuple])
def test_a_backup_of_another_fit_is_refused_before_it_is_loaded(tmp_path, whole):
    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    keras.utils.set_random_seed(1)
    bomb = Bomb("on_epoch_begin", 1, InterruptedError())
    with pytest.raises(InterruptedError):
        short_fit(digit_model(run_eagerly=True), [backup(), bomb])
    assert any((tmp_path / "backup").iterdir())
    keras.utils.clear_session(free_memory=False)
    model = digit_model(run_eagerly=True)
    before = state_of(model)
    with pytest.raises(ValueError, match="BackupAndRestore keeps the weights"):
        short_fit(model, whole([backup(), SnareCallback(eps=0.1)]))
    assert same(before, state_of(model))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("message", "make"),
    REFUSED.items(),
    ids="restore backup weights_only best_weights_only no_averages swap".split(),
)
def test_what_does_not_go_with_a_search_is_told_before_training(tmp_path, message, make, order):
    model, spy = digit_model(run_eagerly=True), Spy()
    model.optimizer.build(model.trainable_variables)
    before = state_of(model)
    for directory in (None, tmp_path / "run"):
        pair = [SnareCallback(eps=0.1, directory=directory), make(tmp_path)]
        if order == "before":
            pair.reverse()
        with pytest.raises(ValueError, match=message):
            short_fit(model, [spy, *pair])
    assert getattr(spy, "states", []) == []
    assert same(state_of(model), before)
    assert leftovers(model) == []
    assert list(tmp_path.iterdir()) == []


def test_a_search_for_ranks_is_one_too():
    model = digit_model(run_eagerly=True)
    stop = EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(ValueError, match="Leave restore_best_weights out"):
        short_fit(model, [RankReduceCallback(layers="hidden1"), stop])


def test_weights_of_the_best_epoch_are_brought_back_where_units_stay(monkeypatch):
    """What is refused beside a search does its work in the fit after it."""
    decide(monkeypatch, True)
    model = digit_model(run_eagerly=True)
    short_fit(model, [SnareCallback(eps=0.1, retrain_epochs=1, max_trials=1)], epochs=2)
    stop, spy = EarlyStopping("quality", mode="max", restore_best_weights=True), Spy()
    short_fit(model, [Told(1, 2, 0), spy, stop], epochs=3)
    assert widths(model) == ACCEPTED
    assert same(model.get_weights(), spy.states[1][:6])
