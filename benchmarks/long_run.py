"""Memory and disk of a search of many trials that keeps a directory: the dense layers of VGG16.

25,088 - 4,096 - 4,096 - 120 on made data, that Adam has trained a little.
Nothing is said of accuracy: the cuts are small and the data such that trials of all kinds happen,
accepted as they are, accepted after training, and rejected. Resident memory and the size of the
directory are looked at all the time, with files that are being written, and noted at every verdict.

    python benchmarks/long_run.py --place DIR --output benchmarks/results/long_run.json

once as it is, and once with TF_ENABLE_ONEDNN_OPTS=0: with oneDNN, TensorFlow on processors keeps
the memory of tensors that are gone. `DIR` gets a folder, which is deleted in the end.
"""

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files

import keras_snare

WIDTHS = (25_088, 4_096, 4_096, 120)
EXAMPLES, VALIDATION, BATCH_SIZE = 256, 240, 64
EPOCHS, RATE = 6, 2e-5
# Of the made features: so far examples lie from the mean of their class that some are missed.
NOISE = 0.08
TRIALS = 300
NOTED = (1, 50, 100, 150, 200, 250, 300)
SETTINGS: dict[str, Any] = {
    "eps": 0.01,
    "retrain_epochs": 3,
    "first_step": 0.025,
    "min_step": 1e-6,
    "early_rejection": False,
    "directory_limit": 3,
}
INTERVAL = 0.05


def made_data(inputs: int, classes: int, seed: int = 0) -> tuple[Any, Any]:
    """Examples around a mean per class, cut off at zero as features are; to train and to decide."""
    random = np.random.default_rng(seed)
    means, noise = random.normal(size=(classes, inputs)).astype("float32"), NOISE * inputs**0.25

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % classes
        x = means[labels] + noise * random.normal(size=(count, inputs)).astype("float32")
        return np.maximum(x, 0, out=x), labels

    return part(EXAMPLES), part(VALIDATION)


def base(widths: tuple[int, ...], train: Any, rate: float) -> keras.Model:
    """The network as a user gives it: trained, with an optimizer that has state."""
    keras.utils.set_random_seed(0)
    *hidden, classes = widths[1:]
    layers = [keras.layers.Dense(width, "relu") for width in hidden]
    out = keras.layers.Dense(classes, "softmax")
    model = keras.Sequential([keras.Input(widths[:1]), *layers, out])
    # XLA is off: on a processor it multiplies matrices more slowly.
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    model.fit(*train, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
    return model


def saved_bytes(model: keras.Model, place: Path) -> dict[str, int]:
    """Size of the file that `model.save` writes, as the model is and without the optimizer."""
    found = {}
    bare = keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers])
    for name, one in (("with_optimizer", model), ("without_optimizer", bare)):
        file = place / f"{name}.keras"
        one.save(file)
        found[name] = file.stat().st_size
        file.unlink()
    return found


def resident() -> int:
    """Resident memory of this process in bytes."""
    return _status("VmRSS")


def peak_resident() -> int:
    """The most that was resident since the last call, in bytes."""
    peak = _status("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")
    return peak


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) * 1024


def size_of(directory: Path) -> int:
    """Bytes of all files in a directory, while others write and delete there."""
    total = 0
    for folder, _, files in os.walk(directory):
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(folder, file)).st_size
    return total


class Watch(io.TextIOBase):
    """Takes the lines that a search prints, and notes memory and disk at each verdict.

    Args:
        directory: of the run.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.rows: list[dict[str, Any]] = []
        self._begun, self._disk_peak, self._out = time.perf_counter(), 0, sys.stdout
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        peak_resident()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def write(self, text: str) -> int:
        """Passes a text on; where it tells of a verdict, notes the figures."""
        found = re.search(r": trial (\d+): .* - (accepted|rejected).* (without|after)", text)
        if found is not None:
            self._note(int(found[1]), found[2] == "accepted", found[3] == "after", text)
            self._out.write(f"{self.rows[-1]}\n")
        return self._out.write(text)

    def _note(self, trial: int, accepted: bool, retrained: bool, text: str) -> None:
        disk, params = size_of(self.directory), re.search(r"parameters: ([\d,]+)", text)
        assert params is not None
        self.rows.append(
            {
                "trial": trial,
                "accepted": accepted,
                "retrained": retrained,
                "params": int(params[1].replace(",", "")),
                "seconds": round(time.perf_counter() - self._begun, 1),
                "resident": resident(),
                "resident_peak": peak_resident(),
                "disk": disk,
                "disk_peak": max(disk, self._disk_peak),
            }
        )
        self._disk_peak = disk

    def _look(self) -> None:
        while not self._over.wait(INTERVAL):
            self._disk_peak = max(self._disk_peak, size_of(self.directory))


def course(widths: tuple[int, ...], trials: int, place: Path) -> dict[str, Any]:
    """One search, watched."""
    train, validation = made_data(widths[0], widths[-1])
    model = base(widths, train, RATE if widths == WIDTHS else 1e-3)
    saved, directory, before = saved_bytes(model, place), place / "run", resident()
    shutil.rmtree(directory, ignore_errors=True)
    with Watch(directory) as watch, contextlib.redirect_stdout(watch):
        _, report = keras_snare.compress(
            model,
            train,
            validation,
            max_trials=trials,
            batch_size=BATCH_SIZE,
            seed=0,
            directory=directory,
            **SETTINGS,
        )
    rows = watch.rows
    assert [row["accepted"] for row in rows] == [row.accepted for row in report.rows]
    shutil.rmtree(directory)
    base_bytes = saved["with_optimizer"]
    return {
        "params_before": report.params_before,
        "params_after": report.params_after,
        "saved_bytes": saved,
        "trials": len(rows),
        "accepted": sum(row["accepted"] for row in rows),
        "accepted_after_training": sum(row["accepted"] and row["retrained"] for row in rows),
        "seconds": rows[-1]["seconds"],
        "resident_before": before,
        "resident_peak": max(row["resident_peak"] for row in rows),
        "disk": rows[-1]["disk"],
        "disk_peak": max(row["disk_peak"] for row in rows),
        "disk_peak_over_base": max(row["disk_peak"] for row in rows) / base_bytes,
        "rows": [row for row in rows if row["trial"] in {*NOTED, len(rows)}],
    }


def main() -> None:
    """Runs one search, and adds what was seen to the results."""
    parser = argparse.ArgumentParser(description="Memory and disk of a long search.")
    parser.add_argument("--place", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--widths", nargs=4, type=int, default=WIDTHS)
    parser.add_argument("--trials", type=int, default=TRIALS)
    arguments = parser.parse_args()
    path, widths = arguments.output, tuple(arguments.widths)
    results: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"courses": {}}
    words = ["python", "benchmarks/long_run.py", "--place", "DIR", "--output", "FILE"]
    results |= {
        "settings": SETTINGS,
        "widths": widths,
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    arguments.place.mkdir(parents=True, exist_ok=True)
    bare = os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0"
    results["courses"]["without oneDNN" if bare else "as TensorFlow is"] = {
        "command": results_files.command(*words),
        **course(widths, arguments.trials, arguments.place),
    }
    results_files.write(path, results)


if __name__ == "__main__":
    main()
