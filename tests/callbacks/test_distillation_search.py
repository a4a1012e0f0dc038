"""`DistillationCallback` and `SnareCallback` in one `fit`, in any order, also when it goes on."""

import keras
import numpy as np
import pytest
import resuming
from fitting import Bomb, Spy, decide, digit_model, leftovers, short_fit, widths
from replicas import in_another_process, made
from training import dense_model, flat_digits, same, weights_of

from keras_snare import (
    DistillationCallback,
    MagnitudePruneCallback,
    SnapshotError,
    SnareCallback,
)

each_order = pytest.mark.parametrize("first", [True, False], ids="first last".split())


class Look(keras.callbacks.Callback):
    """Copies the teacher's weights, the model's and the projections' channels after every epoch."""

    def __init__(self, taught):
        super().__init__()
        self.taught = taught
        self.teachers, self.channels = [], []

    def on_epoch_end(self, epoch, logs=None):
        step = self.taught._run._step
        self.teachers.append(step and weights_of(step.lesson.teacher.models[0]))
        projections = step.lesson.features.projections if step else []
        self.channels.append([one.state().tolist() for one in projections])


def _fit(taught, snare, first, *others, epochs=6, model=None, **options):
    model = model or digit_model(**options)
    spy, look = Spy(), Look(taught)
    both = [taught, snare] if first else [snare, taught]
    short_fit(model, [spy, *both, look, *others], epochs=epochs, batch_size=200)
    return model, spy, look


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("criterion", ["taylor", "l1_in"])
def test_it_teaches_from_the_first_cut_on(monkeypatch, criterion, first):
    """A trial is undone on the way, and puts the step of its time back."""
    decide(monkeypatch, False, False, False, False, False, True)
    taught = DistillationCallback("self", features={"hidden1": "hidden1"})
    snare = SnareCallback(
        eps=0.1, warmup_epochs=2, retrain_epochs=1, max_trials=4, criterion=criterion
    )
    model, spy, look = _fit(taught, snare, first)
    assert [row.accepted for row in snare.report.rows] == [False, False, True, False]
    assert look.teachers[0] is None
    begun = max(range(2), key=lambda at: spy.logs[at]["val_accuracy"])
    size = len(look.teachers[1])
    assert same(look.teachers[1], spy.states[begun][:size])
    assert all(same(one, look.teachers[1]) for one in look.teachers[2:])
    losses = model.history.history["distillation_loss"]
    assert np.isnan(losses).tolist() == [True, True, False, False, False, False]
    assert min(losses[2:]) > 0
    # What is left after an epoch is what the next one trains.
    assert [len(one) for (one,) in look.channels[1:-1]] == [units[0] for units in spy.widths[2:]]
    assert leftovers(model) == []
    history = short_fit(model, [], epochs=1).history
    assert "distillation_loss" not in history


@pytest.mark.slow
@each_order
def test_another_teacher_teaches_from_the_beginning(monkeypatch, first):
    decide(monkeypatch, False, True)
    taught = DistillationCallback(dense_model(64, (9,), 10))
    snare = SnareCallback(eps=0.1, retrain_epochs=1, max_trials=1, stop_when_done=False)
    model, _, _ = _fit(taught, snare, first, epochs=3, run_eagerly=True)
    assert widths(model) == [6, 12, 10]
    assert np.isfinite(model.history.history["distillation_loss"]).all()
    assert leftovers(model) == []


HOOKS = {"on_train_batch_end": 2, "on_epoch_end": 2, "on_train_begin": 0, "on_train_end": 0}
QUICK = {("on_train_batch_end", True), ("on_train_begin", False)}


@pytest.mark.parametrize(
    ("hook", "first"),
    [
        pytest.param(hook, first, marks=[pytest.mark.slow] * ((hook, first) not in QUICK))
        for hook in HOOKS
        for first in (True, False)
    ],
)
def test_however_it_ends_nothing_is_left(monkeypatch, hook, first):
    decide(monkeypatch, False, True, False)
    taught = DistillationCallback("self", features={"hidden1": "hidden1"})
    snare = SnareCallback(eps=0.1, retrain_epochs=3)
    model = digit_model(run_eagerly=True)
    with pytest.raises(KeyboardInterrupt):
        _fit(taught, snare, first, Bomb(hook, HOOKS[hook], KeyboardInterrupt()), model=model)
    assert widths(model) == ([16, 12, 10] if hook == "on_train_begin" else [6, 12, 10])
    assert leftovers(model) == []
    assert not any("call" in vars(layer) for layer in model.layers)
    assert "distillation_loss" not in short_fit(model, [], epochs=1).history


@each_order
def test_targets_may_be_pairs_whoever_comes_first(first):
    """The search evaluates the given model before the first epoch."""
    (x, y), (x_val, y_val) = flat_digits(40, 20)
    answers, val_answers = (np.zeros((len(one), 10), "float32") for one in (y, y_val))
    model = digit_model(run_eagerly=True)
    taught = DistillationCallback("targets", teacher_outputs="logits")
    snare = SnareCallback(eps=1.0, retrain_epochs=1, max_trials=1)
    model.fit(
        x,
        (y, answers),
        validation_data=(x_val, (y_val, val_answers)),
        epochs=2,
        verbose=0,
        callbacks=[taught, snare] if first else [snare, taught],
    )
    assert snare.report.accepted == 1
    assert leftovers(model) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False])
def test_a_run_that_goes_on_is_taught_by_the_same_network(tmp_path, first):
    def callbacks(directory):
        features = {"hidden1": "hidden1"}
        taught = DistillationCallback("self", features=features, projection="fixed")
        snare = resuming.snare(directory, warmup_epochs=2, max_trials=4)
        return taught, Look(taught), snare

    def run(taught, look, snare, *others):
        both = [taught, snare] if first else [snare, taught]
        return resuming.run(*both, look, *others, epochs=6)

    whole, one, other = (callbacks(tmp_path / name) for name in ("whole", "run", "run"))
    expected = run(*whole)
    with pytest.raises(KeyboardInterrupt):
        run(*one, Bomb("on_epoch_end", 2, resuming.STOP))
    model = run(*other)
    assert same(other[1].teachers[0], whole[1].teachers[-1])
    assert len(other[1].teachers) < len(whole[1].teachers)
    assert other[2].report.to_json() == whole[2].report.to_json()
    assert same(weights_of(model), weights_of(expected))
    assert leftovers(model) == []


@pytest.mark.filterwarnings("ignore:fit runs for 2 epochs")
@each_order
def test_a_run_that_goes_on_with_the_cut_model_has_no_such_network(monkeypatch, tmp_path, first):
    def both():
        snare = SnareCallback(eps=0.1, retrain_epochs=3, directory=tmp_path / "run")
        taught = DistillationCallback("self")
        return [taught, snare] if first else [snare, taught]

    decide(monkeypatch, False, True)
    model = digit_model(run_eagerly=True)
    short_fit(model, both(), epochs=2, batch_size=200)
    assert widths(model) == [6, 12, 10]
    before = weights_of(model)
    message = "teacher='self' is the network that the stored run began with.* Build the model anew"
    with pytest.raises(SnapshotError, match=message):
        short_fit(model, both(), epochs=5)
    assert same(weights_of(model), before)
    assert leftovers(model) == []
    # A run that has no epoch left asks for no teacher.
    short_fit(model, both(), epochs=2)


def test_the_search_says_when_it_begins():
    model = digit_model(run_eagerly=True)
    snare = SnareCallback(eps=0.1, warmup_epochs=2)
    with pytest.raises(ValueError, match="Received: start_epoch=3.* give SnareCallback `warmup_ep"):
        short_fit(model, [DistillationCallback("self", start_epoch=3), snare])
    assert leftovers(model) == []


@pytest.mark.parametrize(
    ("first", "structured"),
    [
        (True, False),
        (False, True),
        pytest.param(True, True, marks=pytest.mark.slow),
        pytest.param(False, False, marks=pytest.mark.slow),
    ],
)
def test_another_callback_prunes_behind_the_back_of_the_copy(first, structured):
    """It prunes as the epoch begins in which the model begins to learn from itself."""
    taught = DistillationCallback("self", start_epoch=1, features={"hidden1": "hidden1"})
    prune = MagnitudePruneCallback(
        0.5, schedule="constant", begin_epoch=1, end_epoch=2, structured=structured
    )
    model = digit_model(run_eagerly=True)
    spy, look = Spy(), Look(taught)
    short_fit(
        model, [spy, *([taught, prune] if first else [prune, taught]), look], 3, batch_size=200
    )
    assert all(same(one, spy.states[0][: len(one)]) for one in look.teachers)
    if structured:
        assert widths(model) == [8, 6, 10]
        assert [len(one) for (one,) in look.channels] == [16, 8, 8]
    else:
        assert 0.4 < np.mean(model.get_weights()[0] == 0) < 0.6
    assert np.isnan(model.history.history["distillation_loss"]).tolist() == [True, False, False]
    assert leftovers(model) == []


def check_two_replicas():
    model = made(digit_model, 2)
    snare = SnareCallback(eps=0.02, retrain_epochs=2, max_trials=2, criterion="l1_in")
    taught = DistillationCallback("self", features={"hidden1": "hidden1"})
    found = short_fit(model, [snare, taught], epochs=6).history["distillation_loss"]
    assert len(found) > 2
    assert np.isfinite(found[1:]).all(), found
    assert leftovers(model) == []


@pytest.mark.slow
def test_two_replicas():
    in_another_process(__file__, "check_two_replicas()")
