"""The job: a model that becomes small in `fit` and stays within eps of the best."""

import json

import keras
import numpy as np
import pytest
from fitting import Spy, digit_model, leftovers, short_fit, widths
from training import compiled, concatenate_model, conv_model, digits, flat_digits, residual_model

import keras_snare
from keras_snare import SnareCallback

EPS = 0.05


@pytest.fixture(scope="module")
def run():
    """One whole search, looked at by several tests."""
    keras.utils.set_random_seed(0)
    data, validation = flat_digits()
    model = digit_model(keras.optimizers.Adam(0.01))
    snare = SnareCallback(eps=EPS, warmup_epochs=8, retrain_epochs=3)
    before, after = Spy(), Spy()
    history = model.fit(
        *data,
        batch_size=50,
        validation_data=validation,
        epochs=80,
        verbose=0,
        callbacks=[before, snare, after],
    )
    return {
        "model": model,
        "snare": snare,
        "history": history.history,
        "before": before,
        "after": after,
        "validation": validation,
        "metric": model.evaluate(*validation, verbose=0, return_dict=True)["accuracy"],
    }


def test_the_model_is_smaller_and_as_good(run):
    report = run["snare"].report
    assert report.finished
    assert len(run["history"]["loss"]) < 80  # it stopped by itself
    assert run["model"].count_params() < 0.7 * report.params_before
    assert run["metric"] > max(run["history"]["val_accuracy"]) - EPS
    assert leftovers(run["model"]) == []


def test_the_report_tells_what_was_done(run):
    report, model = run["snare"].report, run["model"]
    assert report.monitor == "val_accuracy"
    assert report.eps == EPS
    assert report.params_before == 64 * 16 + 16 + 16 * 12 + 12 + 12 * 10 + 10
    assert report.params_after == model.count_params()
    assert report.flops_after == keras_snare.cost(model).flops
    assert report.metric == pytest.approx(run["metric"])
    assert report.best >= report.baseline
    assert report.best == pytest.approx(
        max([report.baseline, *(row.metric for row in report.rows if row.accepted)])
    )


def test_the_rows_follow_from_each_other(run):
    report = run["snare"].report
    now = {"hidden1": 16, "hidden2": 12}
    best = report.baseline
    for number, row in enumerate(report.rows, start=1):
        assert row.trial == number
        assert row.width_before == now[row.layer]
        assert 0 < row.width_after < row.width_before
        assert row.epochs <= 3
        assert row.best == pytest.approx(best)
        assert row.accepted == (row.metric > best - EPS)
        assert row.accepted or row.epochs == 3 or row.reason.startswith("rejected early")
        assert len(row.metrics) == row.epochs
        if row.accepted:
            now[row.layer] = row.width_after
            best = max(best, row.metric)
    assert widths(run["model"]) == [now["hidden1"], now["hidden2"], 10]
    assert sum(row.epochs for row in report.rows) == report.retraining_epochs
    assert report.retraining_epochs + 8 == len(run["history"]["loss"])
    assert {row.accepted for row in report.rows} == {True, False}
    assert json.loads(report.to_json())["rows"][-1]["trial"] == len(report.rows)


def test_the_optimizer_goes_on(run):
    optimizer = run["model"].optimizer
    slots = [tuple(variable.shape) for variable in optimizer.variables if len(variable.shape)]
    weights = [tuple(variable.shape) for variable in run["model"].trainable_variables]
    assert sorted(slots) == sorted(weights + weights)
    assert int(optimizer.iterations.numpy()) > 0


def test_saved_and_loaded_it_is_the_same(run, tmp_path):
    run["model"].save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = run["validation"][0]
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), run["model"].predict(x, verbose=0), atol=1e-6
    )
    assert widths(loaded) == widths(run["model"])
    assert loaded.count_params() == run["model"].count_params()


def test_history_has_an_entry_per_epoch(run):
    history, report = run["history"], run["snare"].report
    assert {len(values) for values in history.values()} == {len(history["loss"])}
    assert history["snare_accepted"][-1] == report.accepted
    assert history["snare_params"][0] == report.params_before
    trials = [row.trial for row in report.rows for _ in range(row.epochs)]
    assert history["snare_trial"] == [0] * 8 + trials


def test_a_second_fit_with_the_same_callback_goes_on_from_there():
    model = digit_model()
    snare = SnareCallback(eps=1.0, max_trials=1, retrain_epochs=1)
    short_fit(model, [snare], epochs=3)
    first, narrow = snare.report, widths(model)
    assert first.params_after < first.params_before

    short_fit(model, [snare], epochs=3)

    assert snare.report is not first
    assert snare.report.params_before == first.params_after
    assert widths(model) != narrow
    assert [row.trial for row in snare.report.rows] == [1]
    assert leftovers(model) == []


def test_one_callback_serves_two_models():
    snare = SnareCallback(eps=1.0, max_trials=1, retrain_epochs=1)
    models = [digit_model(), digit_model()]
    for model in models:
        short_fit(model, [snare], epochs=2)
    assert [widths(model) for model in models] == [[6, 12, 10], [6, 12, 10]]


@pytest.mark.parametrize(
    "network",
    [
        conv_model,
        pytest.param(residual_model, marks=pytest.mark.slow),
        pytest.param(concatenate_model, marks=pytest.mark.slow),
    ],
    ids="conv residual concat".split(),
)
def test_other_networks(network):
    (x, y), validation = digits(100, 50)
    model = compiled(network(size=8, channels=1, classes=10))
    params = model.count_params()
    snare = SnareCallback(eps=1.0, max_trials=3, retrain_epochs=1)
    model.fit(x, y, epochs=3, validation_data=validation, verbose=0, callbacks=[snare])
    assert model.count_params() == snare.report.params_after < params
    assert snare.report.accepted == 3
    loss = model.fit(x, y, epochs=1, verbose=0).history["loss"]
    assert np.isfinite(loss).all()


@pytest.mark.parametrize(
    ("snare", "expected"),
    [
        (SnareCallback(), "SnareCallback(eps=0.005)"),
        (
            SnareCallback(0.01, monitor="val_loss", retrain_epochs=3, layers=["a"]),
            "SnareCallback(eps=0.01, monitor='val_loss', retrain_epochs=3, layers=['a'])",
        ),
        (SnareCallback(beta=1.0, stop_when_done=True), "SnareCallback(eps=0.005)"),
    ],
    ids="default changed same".split(),
)
def test_repr(snare, expected):
    assert repr(snare) == expected
