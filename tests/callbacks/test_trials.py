"""What a trial does to the model: kept, undone to the bit, given up."""

import keras
import numpy as np
import pytest
from fitting import Spy, decide, digit_model, short_fit, widths
from training import flat_digits, same, state_of

from keras_snare import SnareCallback

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "nesterov": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "schedule": lambda: keras.optimizers.RMSprop(
        keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.5)
    ),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_rejected_trial_is_undone_to_the_bit(monkeypatch, optimizer):
    decide(monkeypatch)
    model, spy = digit_model(optimizer()), Spy()
    snare = SnareCallback(eps=0.1, retrain_epochs=2, max_trials=1)
    short_fit(model, [spy, snare])
    assert spy.widths == [[16, 12, 10], [6, 12, 10], [6, 12, 10]]
    assert widths(model) == [16, 12, 10]
    assert same(state_of(model), spy.states[0])
    (row,) = snare.report.rows
    assert (row.accepted, row.epoch, row.epochs, row.width_after) == (False, 3, 2, 6)


@pytest.mark.slow
def test_all_trials_rejected_leave_the_model_as_the_warmup_left_it(monkeypatch):
    decide(monkeypatch)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.1, retrain_epochs=1)
    short_fit(model, [spy, snare], epochs=20)
    assert snare.report.finished
    shares = [(row.layer, row.share, row.width_after) for row in snare.report.rows]
    assert shares[0] == ("hidden1", 0.64, 6)
    assert {layer for layer, _, _ in shares} == {"hidden1", "hidden2"}
    assert len(set(shares)) == len(shares)
    assert same(state_of(model), spy.states[0])


def test_an_undone_trial_leaves_no_trace_in_the_training_after_it(monkeypatch):
    """Two epochs without a search equal one, a trial that is undone, and one more."""
    decide(monkeypatch)
    plain, tried, spy = digit_model(), digit_model(), Spy()
    tried.set_weights(plain.get_weights())
    short_fit(plain, [], epochs=2, shuffle=False)
    snare = SnareCallback(eps=0.1, retrain_epochs=2, max_trials=1, stop_when_done=False)
    short_fit(tried, [spy, snare], epochs=4, shuffle=False)
    assert same(spy.states[3], state_of(plain))


@pytest.mark.parametrize("after", [1, 2], ids="at_once later".split())
def test_a_cut_that_passes_is_accepted_before_its_time(monkeypatch, after):
    decide(monkeypatch, *[False] * (after - 1), True)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.1, retrain_epochs=5, max_trials=1)
    history = short_fit(model, [spy, snare])
    (row,) = snare.report.rows
    assert row.accepted
    assert row.epochs == after - 1
    assert len(history.history["loss"]) == after
    assert widths(model) == [6, 12, 10]


def test_accepted_without_retraining_the_weights_are_those_of_before():
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=1.0, max_trials=1, criterion="l1_in")
    short_fit(model, [spy, snare])
    kernel = spy.states[0][0]
    assert kernel.shape == (64, 16)
    kept = np.sort(np.argsort(np.abs(kernel).sum(axis=0))[10:])
    assert np.array_equal(model.layers[0].kernel.numpy(), kernel[:, kept])
    assert snare.report.rows[0].metric == pytest.approx(
        model.evaluate(*flat_digits(200, 100)[1], verbose=0, return_dict=True)["accuracy"]
    )


class Poison(keras.callbacks.Callback):
    """Makes the loss of one epoch NaN, or the weights at its end."""

    def __init__(self, epoch, how):
        super().__init__()
        self.epoch, self.how = epoch, how

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch and self.how == "training":
            kernel = self.model.layers[-1].kernel
            kernel.assign(kernel * np.nan)

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch and self.how != "training":
            logs[self.how] = float("nan")


@pytest.mark.parametrize("how", ["training", "loss", "val_accuracy"])
def test_a_trial_that_is_not_finite_is_rejected(monkeypatch, how):
    decide(monkeypatch, False, True, True)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.1, retrain_epochs=3, max_trials=1)
    short_fit(model, [spy, Poison(1, how), snare])
    (row,) = snare.report.rows
    assert (row.accepted, row.epochs) == (False, 1)
    assert row.reason == "rejected: the loss or the metric is not finite"
    assert same(state_of(model), spy.states[0])


def test_an_exploding_trial_is_rejected():
    class Explode(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 4:
                self.model.optimizer.learning_rate = 1e30

    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.01, warmup_epochs=4, retrain_epochs=3, max_trials=1, first_step=0.9)
    short_fit(model, [spy, snare, Explode()], epochs=8)
    (row,) = snare.report.rows
    assert not row.accepted
    assert same(state_of(model), spy.states[3])


@pytest.mark.parametrize("stop", [True, False], ids="stops goes_on".split())
def test_stop_when_done(stop):
    model = digit_model(run_eagerly=True)
    snare = SnareCallback(eps=1.0, max_trials=1, retrain_epochs=1, stop_when_done=stop)
    history = short_fit(model, [snare], epochs=4)
    assert len(history.history["loss"]) == (1 if stop else 4)
    assert len(snare.report.rows) == 1
    assert snare.report.finished


def test_of_the_epochs_after_the_search_the_best_remains(monkeypatch):
    class Told(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_accuracy"] = [0.5, 0.6, 0.8, 0.9, 0.7][epoch]

    decide(monkeypatch, False, True)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.1, max_trials=1, retrain_epochs=1, stop_when_done=False)
    short_fit(model, [spy, Told(), snare], epochs=5)
    assert same(state_of(model), spy.states[3])
    assert widths(model) == [6, 12, 10]
    assert snare.report.metric == snare.report.best == 0.9


def test_the_best_warmup_epoch_is_what_the_search_begins_with(monkeypatch):
    class Told(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_accuracy"] = [0.3, 0.8, 0.8, 0.5, 0.79][epoch]

    decide(monkeypatch)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.02, warmup_epochs=4, retrain_epochs=1, max_trials=1)
    short_fit(model, [spy, Told(), snare])
    assert snare.report.baseline == snare.report.best == 0.8
    assert same(state_of(model), spy.states[1])


def test_a_trained_model_that_the_first_epoch_makes_worse_is_kept(monkeypatch):
    trained = digit_model(run_eagerly=True)
    short_fit(trained, [], epochs=6)
    model = digit_model(keras.optimizers.Adam(0.5))
    model.set_weights(trained.get_weights())
    before = model.evaluate(*flat_digits(200, 100)[1], verbose=0, return_dict=True)
    decide(monkeypatch)
    snare = SnareCallback(eps=0.02, retrain_epochs=1, max_trials=1)
    short_fit(model, [snare])
    assert snare.report.baseline == pytest.approx(before["accuracy"])
    assert same(model.get_weights(), trained.get_weights())
    slots = [variable for variable in model.optimizer.variables if len(variable.shape)]
    assert slots
    assert all((variable.numpy() == 0).all() for variable in slots)


def test_a_warmup_epoch_that_is_not_finite_is_not_the_best(monkeypatch):
    decide(monkeypatch)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.1, warmup_epochs=3, retrain_epochs=1, max_trials=1)
    short_fit(model, [spy, Poison(1, "val_accuracy"), snare])
    accuracies = [logs["val_accuracy"] for logs in spy.logs]
    best = max(accuracies[0], accuracies[2])
    assert snare.report.baseline == best
    assert same(state_of(model), spy.states[0 if accuracies[0] == best else 2])
