"""However `fit` ends, the model is the last accepted one, and nothing is left behind."""

import keras
import pytest
from fitting import (
    Bomb,
    Spy,
    StopAfter,
    assert_usable,
    decide,
    digit_model,
    leftovers,
    short_fit,
    widths,
)
from training import same, state_of

from keras_snare import SnareCallback

# Epoch 1 warms up, trial 1 takes epoch 2 and is accepted, trial 2 runs from epoch 3 on.
VERDICTS = (False, True, False)
START = [16, 12, 10]
ACCEPTED = [6, 12, 10]
ERROR = RuntimeError("from elsewhere")


@pytest.fixture
def snare(monkeypatch):
    decide(monkeypatch, *VERDICTS)
    return SnareCallback(eps=0.1, retrain_epochs=3)


def _check(model, spy, snare, tmp_path=None):
    """The model is what training had made of it when trial 1 was accepted."""
    assert widths(model) == ACCEPTED
    assert same(state_of(model), spy.states[1])
    assert leftovers(model) == []
    rows = snare.report.rows
    assert [row.accepted for row in rows] == [True, False]
    assert rows[1].reason == "undone: training ended before the verdict"
    assert snare.report.params_after == model.count_params()
    assert not snare.report.finished
    if tmp_path is not None:
        assert_usable(model, tmp_path)


def test_the_last_epoch_in_mid_trial(snare, tmp_path):
    model, spy = digit_model(run_eagerly=True), Spy()
    short_fit(model, [spy, snare], epochs=4)
    assert len(spy.states) == 4
    assert spy.widths[-1] != ACCEPTED
    _check(model, spy, snare, tmp_path)


@pytest.mark.parametrize("first", [True, False], ids="before behind".split())
def test_another_callback_stops_training(snare, tmp_path, first):
    model, spy, stop = digit_model(run_eagerly=True), Spy(), StopAfter(3)
    short_fit(model, [stop, spy, snare] if first else [spy, snare, stop])
    assert len(spy.states) == 3
    _check(model, spy, snare, tmp_path)


# Hooks and the call in which trial 2 is under way: 4 steps of training and 2 of validation an
# epoch; before the first epoch, the given model is validated without the callbacks of fit.
HOOKS = {
    "on_epoch_begin": 2,
    "on_train_batch_begin": 9,
    "on_train_batch_end": 9,
    "on_test_begin": 2,
    "on_test_batch_end": 4,
    "on_test_end": 2,
    "on_epoch_end": 2,
    "on_train_end": 0,
}


@pytest.mark.parametrize(
    "first",
    [True, pytest.param(False, marks=pytest.mark.slow)],
    ids="before behind".split(),
)
@pytest.mark.parametrize(("hook", "at"), HOOKS.items(), ids=HOOKS)
def test_another_callback_raises(snare, tmp_path, hook, at, first):
    model, spy, bomb = digit_model(run_eagerly=first), Spy(), Bomb(hook, at, ERROR)
    with pytest.raises(RuntimeError, match="from elsewhere"):
        short_fit(model, [bomb, spy, snare] if first else [spy, snare, bomb], epochs=4)
    assert len(spy.states) >= 2
    _check(model, spy, snare, tmp_path if first else None)


def test_keyboard_interrupt_between_steps(snare, tmp_path):
    model, spy, bomb = digit_model(), Spy(), Bomb("on_train_batch_end", 10, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        short_fit(model, [spy, snare, bomb])
    _check(model, spy, snare, tmp_path)


@keras.saving.register_keras_serializable(package="tests")
class Fuse(keras.metrics.Metric):
    """Raises inside the training step, while it is being computed."""

    error = None

    def update_state(self, y_true, y_pred, sample_weight=None):
        if Fuse.error is not None:
            raise Fuse.error

    def result(self):
        return 0.0


class LightFuse(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if self.epoch == 2 and batch == 1:
            Fuse.error = self.error

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError], ids=lambda one: one.__name__)
def test_the_training_step_raises(snare, tmp_path, error):
    model = digit_model(metrics=["accuracy", Fuse()], run_eagerly=True)
    spy, light = Spy(), LightFuse()
    light.error = error("in the step")
    try:
        with pytest.raises(error, match="in the step"):
            short_fit(model, [spy, snare, light])
    finally:
        Fuse.error = None
    _check(model, spy, snare, tmp_path)


@pytest.mark.parametrize("prune_inputs", [False, True], ids="plain inputs".split())
def test_a_callback_behind_raises_when_training_begins(snare, tmp_path, prune_inputs):
    snare.prune_inputs = prune_inputs
    model = digit_model()
    model.optimizer.build(model.trainable_variables)
    before, layers = state_of(model), list(model.layers)
    with pytest.raises(RuntimeError, match="from elsewhere"):
        short_fit(model, [snare, Bomb("on_train_begin", 0, ERROR)])
    assert list(model.layers) == layers
    assert same(state_of(model), before)
    assert leftovers(model) == []
    assert_usable(model, tmp_path)


def test_a_later_fit_is_not_disturbed(snare):
    model, bomb = digit_model(run_eagerly=True), Bomb("on_epoch_end", 2, ERROR)
    with pytest.raises(RuntimeError, match="from elsewhere"):
        short_fit(model, [snare, bomb])
    history = short_fit(model, [], epochs=2)
    assert "snare_params" not in history.history
    assert widths(model) == ACCEPTED
    short_fit(model, [SnareCallback(eps=0.1, retrain_epochs=1)], epochs=3)
    assert leftovers(model) == []


def test_an_error_that_a_callback_handles_ends_nothing(monkeypatch):
    """Callbacks may call evaluate and fail at it, as long as they get over it."""

    class Careful(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(ValueError, match="Unrecognized data type"):
                self.model.evaluate([[1.0]], [1.0], verbose=0)

    decide(monkeypatch, True)
    snare = SnareCallback(eps=0.1, retrain_epochs=1, max_trials=1)
    model = digit_model()
    short_fit(model, [Careful(), snare], epochs=3)
    assert snare.report.finished
    assert widths(model) == ACCEPTED


def test_interrupted_in_the_warmup_nothing_was_cut(tmp_path):
    snare = SnareCallback(eps=0.1, warmup_epochs=3, retrain_epochs=1)
    model, spy = digit_model(run_eagerly=True), Spy()
    short_fit(model, [spy, snare, StopAfter(2)])
    assert widths(model) == START
    assert same(state_of(model), spy.states[1])
    assert snare.report.rows == []
    assert leftovers(model) == []
    assert_usable(model, tmp_path)
