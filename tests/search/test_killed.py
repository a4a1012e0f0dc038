"""Processes that are killed at any moment, and what the runs in their directories come to."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 30
# A start, and what training there is after it, takes some seconds; most kills fall into that.
LATEST = 6.0

SCRIPT = """
import os, signal, sys
import keras, numpy as np
from fitting import digit_model
from training import flat_digits
from keras_snare import SnareCallback, compress
from keras_snare.surgery import variables

driver, directory, cut, weights = sys.argv[1:]
left = int(cut)

def resize(*arguments, before=variables.resize, **named):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*arguments, **named)

variables.resize = resize
keras.utils.set_random_seed(1)
model = digit_model(run_eagerly=True)
train, validation = flat_digits(200, 100)
settings = {"eps": 0.03, "retrain_epochs": 2, "max_trials": 7, "warmup_epochs": 2}
settings |= {"directory": directory or None, "verbose": 0}
print("ready", flush=True)
if driver == "compress":
    report = compress(model, train, validation, **settings, seed=5, batch_size=10)[1]
else:
    callback = SnareCallback(**settings)
    model.fit(*train, validation_data=validation, batch_size=10, epochs=40, shuffle=False,
              verbose=0, callbacks=[callback])
    report = callback.report
np.savez(weights, *model.get_weights(), *[one.numpy() for one in model.optimizer.variables])
print(report.to_json())
"""


class Run:
    """A process that searches, and is killed.

    Args:
        driver: `"compress"` or `"callback"`.
        directory: of the run, or None.
        weights: file that the weights are written to.
        cut: the variable at whose resizing the process ends itself, 0 for none.
    """

    def __init__(self, driver, directory, weights, cut=0):
        tests = Path(__file__).resolve().parents[1]
        paths = [str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, driver, str(directory or ""), str(cut), str(weights)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.printed = self.process.stdout.readline()

    def kill_after(self, seconds):
        time.sleep(seconds)
        self.process.kill()

    def kill_in_writing(self, directory, after):
        """Kills as soon as a file appears, or goes, after some others did."""

        def listed():
            return {one.name for one in Path(directory).rglob("*")}

        before = listed()
        while self.process.poll() is None and after:
            found = listed()
            after -= found != before
            before = found
        self.process.kill()

    def ended(self):
        """Returns what it printed, or None where it was killed."""
        out, errors = self.process.communicate()
        assert self.process.returncode in (0, -signal.SIGKILL), errors
        return None if self.process.returncode else json.loads(out.splitlines()[-1])


def record_of(directory):
    file = Path(directory) / "run.json"
    return json.loads(file.read_text())["run"] if file.exists() else None


def assert_goes_on(before, after):
    """No trial that was judged, and no network that was accepted, is lost."""
    if before is None:
        return
    rows, later = (
        json.loads(one["search"]["report"])["rows"] if one["search"] else []
        for one in (before, after)
    )
    assert later[: len(rows)] == rows
    assert after["accepted"][: len(before["accepted"])] == before["accepted"]
    assert after["epoch"] >= before["epoch"]


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["compress", "callback"])
def test_killed_at_thirty_moments_and_ends_as_if_it_had_not_been(tmp_path, driver):
    expected = Run(driver, None, tmp_path / "expected.npz").ended()
    assert expected["finished"]
    chance, kills, runs = random.Random(11), {"moment": 0, "writing": 0, "surgery": 0}, 0
    while sum(kills.values()) < KILLS:
        runs += 1
        directory, weights = tmp_path / f"run{runs}", tmp_path / f"{runs}.npz"
        found = None
        while found is None:
            kind = min(kills, key=lambda one: kills[one])
            before = record_of(directory)
            cut = chance.randint(1, 30) if kind == "surgery" else 0
            run = Run(driver, directory, weights, cut)
            if kind == "moment":
                run.kill_after(chance.uniform(0.0, LATEST))
            elif kind == "writing":
                run.kill_in_writing(directory, chance.randint(1, 60))
            found = run.ended()
            kills[kind] += found is None
            assert_goes_on(before, record_of(directory))
        assert found == expected
        assert weights.read_bytes() == (tmp_path / "expected.npz").read_bytes()
    assert min(kills.values()) >= KILLS // 3
