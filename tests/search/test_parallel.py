"""Trials made several at once: the search is that of one process."""

import json

import keras
import numpy as np
import pytest
from engines import InProcess
from fitting import digit_model
from training import flat_digits, same, state_of

import keras_snare
from keras_snare import compress
from keras_snare.search import engines

TRAIN, VALIDATION = flat_digits(200, 100)
SETTINGS = {
    "eps": 0.03,
    "retrain_epochs": 2,
    "max_trials": 6,
    "warmup_epochs": 3,
    "verbose": 0,
    "batch_size": 50,
    "seed": 3,
}


def fresh(**options):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    return digit_model(run_eagerly=True, **options)


def searched(**options):
    model = fresh()
    _, report = compress(model, TRAIN, VALIDATION, **{**SETTINGS, **options})
    return model, json.loads(report.to_json())


def in_parallel(monkeypatch, workers, latest_first=False, **options):
    engine = InProcess(workers, latest_first)
    monkeypatch.setattr(engines, "RayEngine", lambda *_: engine)
    return engine, *searched(engine="ray", workers=workers, **options)


@pytest.fixture(scope="module")
def alone():
    return searched()


@pytest.mark.parametrize(
    ("workers", "latest_first"),
    [pytest.param(at, False, marks=pytest.mark.slow) for at in (1, 2, 4)] + [(4, True)],
)
def test_any_number_of_workers_finds_what_one_process_finds(
    monkeypatch, alone, workers, latest_first
):
    serial, expected = alone
    assert 0 < sum(row["accepted"] for row in expected["rows"]) < len(expected["rows"])
    engine, model, report = in_parallel(monkeypatch, workers, latest_first)
    assert report == expected
    assert same(state_of(model), state_of(serial))
    assert engine.most == workers
    assert not engine.waiting


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"max_epochs": 8},
        {"criterion": "l1_both", "round_to": 4},
        {"early_rejection": False, "max_trials": 8, "max_epochs": 12},
        {"retrain": "blocks", "scoring_data": (TRAIN[0][:64], TRAIN[1][:64])},
        {"compensate": "least_squares", "scoring_data": TRAIN},
        {"prune_inputs": True},
    ],
    ids=["max_epochs", "weights", "to the end", "blocks", "compensate", "inputs"],
)
def test_whatever_the_search_is_told_to_do(monkeypatch, options):
    serial, expected = searched(**options)
    _, model, report = in_parallel(monkeypatch, 3, latest_first=True, **options)
    assert report == expected
    assert same(state_of(model), state_of(serial))


def test_only_what_the_model_is_made_of_is_sent(monkeypatch, alone):
    @keras.saving.register_keras_serializable(name="OfAnother")
    class Local(keras.layers.Layer):
        """It cannot be pickled, and is none of this model's."""

    keras_snare.register_layer(Local)
    _, _, report = in_parallel(monkeypatch, 2)
    assert report == alone[1]


def test_functions_open_data_where_they_are_needed(monkeypatch, alone):
    serial, expected = alone
    opened = {"train": lambda: TRAIN, "validation": lambda: VALIDATION}
    model = fresh()
    _, report = compress(model, **opened, **SETTINGS)
    assert json.loads(report.to_json()) == expected
    assert same(state_of(model), state_of(serial))


@pytest.mark.slow
def test_a_run_whose_workers_died_goes_on_with_another_number(monkeypatch, alone, tmp_path):
    serial, expected = alone
    engine = InProcess(2)
    made = engine.wait

    def wait(trials):
        if len(engine.submitted) > 5:
            raise keras_snare.EngineError("gone")
        return made(trials)

    engine.wait = wait
    monkeypatch.setattr(engines, "RayEngine", lambda *_: engine)
    model = fresh()
    run = {**SETTINGS, "directory": tmp_path / "run"}
    with pytest.raises(keras_snare.EngineError, match="gone"):
        compress(model, TRAIN, VALIDATION, engine="ray", workers=2, **run)
    assert not engine.waiting
    sizes = [row["params"] for row in expected["rows"] if row["accepted"]]
    assert model.count_params() in sizes
    stored = json.loads((tmp_path / "run" / "run.json").read_text())["run"]["search"]["report"]
    rows = json.loads(stored)["rows"]
    assert 0 < len(rows) < len(expected["rows"])
    assert rows == expected["rows"][: len(rows)]
    engine, model, report = in_parallel(monkeypatch, 3, directory=run["directory"])
    assert report == expected
    assert same(state_of(model), state_of(serial))
    assert not any(f"trial {number}:" in engine.submitted for number in range(1, len(rows) + 1))


@pytest.mark.slow
def test_a_trial_that_fails_counts_only_where_one_process_would_make_it(monkeypatch, alone):
    serial, expected = alone
    rows = expected["rows"]
    # Trials behind the first accepted one, which are made in vain.
    first = next(at for at, row in enumerate(rows) if row["accepted"])
    engine = InProcess(4, latest_first=True)
    made, failed = engine.row, []

    def row(trial):
        if not failed and not trial[0].startswith(f"trial {first + 1}:"):
            failed.append(trial[0])
            raise RuntimeError("made in vain")
        return made(trial)

    engine.row = row
    monkeypatch.setattr(engines, "RayEngine", lambda *_: engine)
    model, report = searched(engine="ray", workers=4)
    assert len(failed) == 1
    assert report == expected
    assert same(state_of(model), state_of(serial))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "dask"}, ValueError, "'serial' or 'ray'. Received: engine='dask'"),
        ({"workers": 2}, ValueError, "Received: workers=2, .* Give engine='ray'"),
        ({"worker_cpus": 2}, ValueError, "worker_cpus=2, .* Give engine='ray'"),
        ({"worker_gpus": 0.5}, ValueError, "worker_gpus=0.5, .* Give engine='ray'"),
        ({"ray_address": "auto"}, ValueError, "ray_address='auto'. Give engine='ray'"),
        ({"workers": 0}, ValueError, "workers=0"),
        ({"worker_cpus": -1}, ValueError, "worker_cpus=-1"),
        ({"worker_gpus": "one"}, ValueError, "worker_gpus='one'"),
        ({"ray_address": 6379}, TypeError, "ray_address=6379"),
    ],
)
def test_wrong_arguments(options, error, message):
    model = fresh()
    before = state_of(model)
    with pytest.raises(error, match=message):
        compress(model, TRAIN, VALIDATION, **{**SETTINGS, **options})
    assert same(state_of(model), before)


class Unknown(keras.layers.Dense):
    """A layer that no other process knows how to build."""

    def __init__(self, units, secret, **options):
        super().__init__(units, **options)
        self.secret = secret

    def get_config(self):
        raise NotImplementedError


def test_a_model_that_workers_cannot_build_is_refused(monkeypatch):
    model = keras.Sequential([keras.Input((64,)), Unknown(8, 1), keras.layers.Dense(10)])
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    before = [np.array(one) for one in model.get_weights()]
    monkeypatch.setattr(engines, "RayEngine", lambda *_: InProcess(2))
    with pytest.raises(keras_snare.UnsupportedModelError, match="engine='serial'"):
        compress(model, TRAIN, VALIDATION, engine="ray", workers=2, **SETTINGS)
    assert same(before, model.get_weights())
