"""A run in a directory goes on where it was stopped, and ends as if it had not been."""

import json
import os
import shutil
import signal
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
import resuming
from fitting import Bomb, Spy, assert_usable, digit_model, leftovers, short_fit, widths
from resuming import STOP, killed_run, run, snare
from training import compiled, same, state_of

import keras_snare
from keras_snare import SnareCallback
from keras_snare.search import Objective, RunDirectory

QUICK = {("on_epoch_end", 4)}


def figures(callback):
    return json.loads(callback.report.to_json())


@pytest.fixture(
    scope="module",
    params=[True, pytest.param(False, marks=pytest.mark.slow)],
    ids=["then stop", "then train on"],
)
def uninterrupted(request):
    callback = snare(stop_when_done=request.param)
    model = run(callback, epochs=14)
    return request.param, state_of(model), figures(callback)


# Epochs 1 to 3 warm up; trials take epochs 4 to 9; the rest comes after the search.
KILLED = [
    pytest.param(hook, epoch, marks=[pytest.mark.slow] * ((hook, epoch) not in QUICK))
    for hook in ("on_epoch_begin", "on_epoch_end")
    for epoch in (1, 3, 4, 6, 8, 10, 12)
]


@pytest.mark.parametrize(("hook", "epoch"), KILLED)
def test_a_resumed_run_ends_as_the_uninterrupted_one(uninterrupted, tmp_path, hook, epoch):
    stops, state, report = uninterrupted
    epoch = min(epoch, 8) if stops else epoch
    first, second = (snare(tmp_path / "run", stop_when_done=stops) for _ in range(2))
    killed_run(first, hook, epoch, epochs=14)
    model = run(second, epochs=14)
    assert figures(second) == report
    assert same(state_of(model), state)
    assert leftovers(model) == []


@pytest.mark.slow
def test_a_run_killed_again_and_again(uninterrupted, tmp_path):
    stops, state, report = uninterrupted
    for _ in range(20):
        bomb = Bomb("on_train_batch_end", 9, STOP)
        callback = snare(tmp_path / "run", stop_when_done=stops)
        try:
            model = run(callback, bomb, epochs=14)
        except KeyboardInterrupt:
            continue
        break
    assert figures(callback) == report
    assert same(state_of(model), state)


@pytest.mark.slow
def test_a_finished_run_gives_its_model_back_without_training(tmp_path):
    spy, first, second = Spy(), snare(tmp_path / "run"), snare(tmp_path / "run")
    expected = state_of(run(first))
    model = run(second, spy)
    assert spy.logs == []
    assert same(state_of(model), expected)
    assert figures(second) == figures(first)
    assert leftovers(model) == []
    assert_usable(model, tmp_path)


NUMBERS = {
    "eps": (np.float32(2**-6), 2**-6),
    "retrain_epochs": (np.int64(1), 1),
    "warmup_epochs": (np.int8(2), 2),
    "first_step": (np.float32(0.5), 0.5),
    "min_step": (np.float16(0.25), 0.25),
    "beta": (np.int32(1), 1),
    "gamma": (np.float64(0.5), 0.5),
    "max_trials": (np.uint8(3), 3),
    "round_to": (np.int64(2), 2),
    "verbose": (np.int64(0), 0),
}


@pytest.mark.slow
def test_numbers_of_numpy_are_stored_as_pythons(tmp_path):
    numpys, pythons = ({name: pair[at] for name, pair in NUMBERS.items()} for at in (0, 1))
    expected = snare(**pythons)
    state = state_of(run(expected, epochs=7))
    assert expected.report.rows
    killed_run(snare(tmp_path / "run", **numpys), "on_epoch_end", 0, epochs=7)
    killed_run(snare(tmp_path / "run", **numpys), "on_epoch_end", 1, epochs=7)
    second = snare(tmp_path / "run", **pythons)
    assert same(state_of(run(second, epochs=7)), state)
    assert figures(second) == figures(expected)
    # The finished run is also that of the NumPy numbers.
    again = snare(tmp_path / "run", **numpys)
    assert same(state_of(run(again, epochs=7)), state)
    assert figures(again) == figures(expected)


def test_a_run_that_cut_all_there_was_gives_its_model_back(monkeypatch, tmp_path):
    monkeypatch.setattr(Objective, "passes", lambda *_: True)
    first, second = (SnareCallback(eps=0.1, directory=tmp_path / "run") for _ in range(2))
    model, spy = digit_model(run_eagerly=True), Spy()
    short_fit(model, [first], epochs=8)
    assert first.report.finished
    assert widths(model) == [1, 1, 10]
    state = state_of(model)
    short_fit(model, [second, spy], epochs=8)
    assert spy.logs == []
    assert same(state_of(model), state)
    assert figures(second) == figures(first)


@pytest.mark.slow
def test_more_epochs_go_on_with_a_run_that_had_too_few(tmp_path):
    expected, first, second = snare(), snare(tmp_path / "run"), snare(tmp_path / "run")
    state = state_of(run(expected))
    run(first, epochs=5)
    assert not first.report.finished
    spy = Spy()
    model = run(second, spy)
    assert figures(second) == figures(expected)
    assert same(state_of(model), state)


@pytest.mark.slow
def test_the_model_that_a_stopped_run_left_is_taken_as_it_is(tmp_path):
    callback = snare(tmp_path / "run")
    keras.utils.set_random_seed(1)
    model = digit_model(run_eagerly=True)
    with pytest.raises(KeyboardInterrupt):
        short_fit(model, [callback, Bomb("on_epoch_end", 6, STOP)], epochs=14, shuffle=False)
    assert widths(model) != [16, 12, 10]
    short_fit(model, [callback], epochs=14, shuffle=False)
    expected = snare()
    assert same(state_of(run(expected, epochs=14)), state_of(model))
    assert figures(callback) == figures(expected)


@pytest.mark.slow
def test_another_count_of_optimizers_in_the_process_does_not_matter(tmp_path):
    expected = snare(tmp_path / "run")
    killed_run(expected, "on_epoch_end", 5)
    keras.utils.clear_session(free_memory=False)
    keras.optimizers.Adam(0.01)
    keras.utils.set_random_seed(1)
    # The first Adam of this process was another; newer releases of Keras count them.
    model, callback = digit_model(run_eagerly=True), snare(tmp_path / "run")
    short_fit(model, [callback], epochs=7, shuffle=False)
    assert callback.report.rows


@pytest.mark.slow
def test_dropped_inputs_are_dropped_again(tmp_path):
    options = {"prune_inputs": True, "layers": []}
    expected, first, second = (snare(at, **options) for at in (None, *[tmp_path / "run"] * 2))
    state = state_of(run(expected))
    assert expected.report.accepted
    killed_run(first, "on_epoch_end", 5)
    model = run(second)
    assert same(state_of(model), state)
    assert model.layers[0].indices == run(snare(tmp_path / "run", **options)).layers[0].indices


@pytest.mark.slow
def test_random_states_go_on(tmp_path):
    def with_dropout(callback, *others):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(16, "relu"),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(10, "softmax"),
            ]
        )
        compiled(model)
        short_fit(model, [callback, *others], epochs=6, shuffle=False)
        return model

    expected = with_dropout(snare())
    with pytest.raises(KeyboardInterrupt):
        with_dropout(snare(tmp_path / "run"), Bomb("on_epoch_end", 1, STOP))
    resumed = with_dropout(snare(tmp_path / "run"))
    for one, other in zip(resumed.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_every_accepted_network_is_kept(tmp_path):
    callback = snare(tmp_path / "run")
    model = run(callback)
    record = json.loads((tmp_path / "run" / "run.json").read_text())["run"]
    rows = [row for row in callback.report.rows if row.accepted]
    assert [one["trial"] for one in record["accepted"]] == [0, *(row.trial for row in rows)]
    assert [one["params"] for one in record["accepted"]][1:] == [row.params for row in rows]
    last = record["accepted"][-1]
    files = {file.stem for file in (tmp_path / "run" / "arrays").iterdir()}
    assert {one["array"] for kept in record["accepted"] for one in kept["values"]} <= files
    again = digit_model()
    keras_snare.shrink(again, last["keep"])
    again.set_weights([RunDirectory(tmp_path / "run").get(one) for one in last["values"]])
    assert same(again.get_weights(), model.get_weights())


SCRIPT = """
import os, signal, sys
from resuming import run, snare
import keras

class Kill(keras.callbacks.Callback):
    left = int(sys.argv[2])

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

keras.utils.set_random_seed(0)
callback = snare(sys.argv[1] or None)
run(callback, Kill(), epochs=14).save_weights(sys.argv[3])
print(callback.report.to_json())
"""


def process(directory, batches, tmp_path):
    """Runs in a process of its own, which is killed after some batches; returns what it printed."""
    arguments = [sys.executable, "-c", SCRIPT, str(directory), str(batches)]
    done = subprocess.run(
        [*arguments, str(tmp_path / f"{batches}.weights.h5")],
        env={**os.environ, "PYTHONPATH": os.path.dirname(resuming.__file__)},
        capture_output=True,
        text=True,
    )
    if batches > 0:
        assert done.returncode == -signal.SIGKILL, done.stderr
        return None
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_killed_processes(tmp_path):
    expected = process("", 0, tmp_path)
    shutil.move(tmp_path / "0.weights.h5", tmp_path / "expected.weights.h5")
    for batches in (10, 7, 9):
        process(tmp_path / "run", batches, tmp_path)
    assert process(tmp_path / "run", 0, tmp_path) == expected
    with (
        h5py.File(tmp_path / "expected.weights.h5") as one,
        h5py.File(tmp_path / "0.weights.h5") as other,
    ):
        names = []
        one.visit(names.append)
        arrays = [name for name in names if isinstance(one[name], h5py.Dataset)]
        assert arrays
        for name in arrays:
            np.testing.assert_array_equal(one[name], other[name])
