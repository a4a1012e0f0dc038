"""What the arguments of `SnareCallback` change."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from fitting import Spy, decide, digit_model, short_fit, widths
from training import compiled, dense_model, flat_digits

from keras_snare import SnareCallback
from keras_snare.criteria import RandomCriterion, get_criterion, score_groups, statistics
from keras_snare.graph import channel_groups
from keras_snare.search import SnareSearch


def _once(model, **options):
    """Makes one cut that is accepted at once, and returns what was trained before it."""
    spy = Spy()
    short_fit(model, [spy, SnareCallback(eps=1.0, max_trials=1, retrain_epochs=1, **options)])
    return spy.states[-1]


def _kept(model, state):
    """Units of the first layer that stayed."""
    before, after = state[0], model.layers[0].kernel.numpy()
    return [at for at in range(16) if any(np.array_equal(before[:, at], one) for one in after.T)]


def _expected(criterion, state, data=None):
    """Units of the first layer with the highest scores."""
    model = digit_model(run_eagerly=True)
    model.set_weights(state[:6])
    groups = channel_groups(model)
    chosen, criterion = [groups["hidden1"]], get_criterion(criterion)
    found = statistics(model, groups, chosen, criterion, data) if data else None
    scores = score_groups(chosen, criterion, found)["hidden1"]
    return sorted(np.argsort(scores, kind="stable")[10:].tolist())


@pytest.mark.parametrize(
    "criterion", ["l1_in", "l1_out", "l1_both", "random", RandomCriterion(3)], ids=str
)
def test_criteria_on_weights(criterion):
    model = digit_model(run_eagerly=True)
    state = _once(model, criterion=criterion)
    assert _kept(model, state) == _expected(criterion, state)


@pytest.mark.parametrize("criterion", ["taylor", "activation"])
@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_scoring_data(criterion, form):
    (x, y), _ = flat_digits(200, 100)
    data = (x[:50], y[:50])
    if form == "dataset":
        data = tf.data.Dataset.from_tensor_slices(data).batch(16)
    model = digit_model(run_eagerly=True)
    state = _once(model, criterion=criterion, scoring_data=data)
    assert _kept(model, state) == _expected(criterion, state, data)


def test_without_data_the_scores_are_those_of_one_epoch(monkeypatch):
    seen, begin = [], SnareSearch.begin

    def spied(self, metric, found):
        seen.append(found["hidden1"])
        begin(self, metric, found)

    monkeypatch.setattr(SnareSearch, "begin", spied)
    model = digit_model(run_eagerly=True)
    state = _once(model)
    assert _kept(model, state) == sorted(np.argsort(seen[0])[10:].tolist())
    assert (seen[0] > 0).sum() >= 14
    # A mean over the steps of one epoch, however many epochs there were before.
    _once(digit_model(run_eagerly=True), warmup_epochs=3)
    assert 0.2 < seen[1].mean() / seen[0].mean() < 5


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("hidden2", [16, 5, 10]),
        (["hidden1"], [6, 12, 10]),
        ("hidden.", [6, 12, 10]),
        (keras.layers.Dense, [6, 12, 10]),
        (lambda layer: layer.units == 12, [16, 5, 10]),
    ],
    ids="name list pattern class predicate".split(),
)
def test_layers(layers, expected):
    model = digit_model(run_eagerly=True)
    _once(model, layers=layers, criterion="l1_in")
    assert widths(model) == expected


def test_chosen_layers_are_cut_to_the_end_and_the_others_not_at_all():
    model = digit_model(run_eagerly=True)
    snare = SnareCallback(eps=1.0, layers="hidden2", retrain_epochs=1)
    short_fit(model, [snare])
    assert widths(model) == [16, 1, 10]
    assert snare.report.finished


@pytest.mark.slow
def test_everything_is_cut_to_the_end_where_everything_is_accepted():
    model = digit_model(run_eagerly=True)
    short_fit(model, [SnareCallback(eps=1.0, retrain_epochs=1)])
    assert widths(model) == [1, 1, 10]


def test_round_to():
    model = digit_model(run_eagerly=True)
    snare = SnareCallback(eps=1.0, round_to=4, retrain_epochs=1)
    short_fit(model, [snare])
    assert {row.width_after % 4 for row in snare.report.rows} == {0}
    assert widths(model) == [4, 4, 10]


@pytest.mark.parametrize("trials", [1, 3])
def test_max_trials(monkeypatch, trials):
    decide(monkeypatch)
    snare = SnareCallback(eps=0.1, max_trials=trials, retrain_epochs=1)
    history = short_fit(digit_model(run_eagerly=True), [snare])
    assert len(snare.report.rows) == trials
    assert len(history.history["loss"]) == 1 + trials


@pytest.mark.slow
def test_steps_and_weights_of_the_policy(monkeypatch):
    decide(monkeypatch)
    options = {"first_step": 0.5, "min_step": 0.25, "beta": 0.0, "gamma": 0.0}
    model = compiled(dense_model(64, (4, 16), 10), run_eagerly=True)
    snare = SnareCallback(eps=0.1, retrain_epochs=1, **options)
    short_fit(model, [snare], epochs=8)
    assert [(row.layer, row.share, row.width_after) for row in snare.report.rows] == [
        ("hidden2", 0.5, 8),
        ("hidden2", 0.25, 12),
        ("hidden1", 0.5, 2),
        ("hidden1", 0.25, 3),
    ]


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_warmup_epochs(monkeypatch, warmup):
    decide(monkeypatch)
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=0.1, warmup_epochs=warmup, retrain_epochs=1, max_trials=1)
    short_fit(model, [snare, spy], epochs=8)
    whole = [found == [16, 12, 10] for found in spy.widths]
    assert whole.index(False) + 1 == max(warmup, 1)


@pytest.mark.parametrize(("monitor", "eps"), [("val_loss", 50.0), ("val_accuracy", 1.0)])
def test_monitors_of_validation_are_looked_at_right_after_a_cut(monitor, eps):
    model = digit_model(run_eagerly=True)
    snare = SnareCallback(eps=eps, monitor=monitor, retrain_epochs=1, max_trials=1)
    short_fit(model, [snare])
    (row,) = snare.report.rows
    assert (row.accepted, row.epochs) == (True, 0)
    figures = model.evaluate(*flat_digits(200, 100)[1], verbose=0, return_dict=True)
    assert row.metric == pytest.approx(figures[monitor.removeprefix("val_")], rel=1e-5)


@pytest.mark.parametrize(("monitor", "eps"), [("accuracy", 1.0), ("loss", 50.0)])
def test_a_monitor_of_training_needs_no_validation_data(monitor, eps):
    model = digit_model(run_eagerly=True)
    snare = SnareCallback(eps=eps, monitor=monitor, retrain_epochs=2, max_trials=1)
    history = short_fit(model, [snare], validation_data=None)
    (row,) = snare.report.rows
    assert (row.accepted, row.epochs) == (True, 1)
    assert row.metric == history.history[monitor][1]
    assert snare.report.baseline == history.history[monitor][0]


@pytest.mark.parametrize(("mode", "accepted"), [("max", False), ("min", True)])
def test_mode(mode, accepted):
    class Told(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["accuracy"] = [0.9, 0.1][epoch]

    snare = SnareCallback(eps=0.1, monitor="accuracy", mode=mode, retrain_epochs=1, max_trials=1)
    short_fit(digit_model(run_eagerly=True), [Told(), snare], validation_data=None, epochs=2)
    assert snare.report.rows[0].accepted is accepted
