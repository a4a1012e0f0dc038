"""What SnareCallback costs: per epoch while it does not try anything, per cut, and in memory.

python benchmarks/overhead.py --output benchmarks/results/overhead.json
"""

import argparse
import gc
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from networks import lenet_5

import keras_snare

BATCH_SIZE = 128
STEPS = 430  # as in an epoch of MNIST
EPOCHS = 6


class EpochTimes(keras.callbacks.Callback):
    """Seconds of every epoch, validation and callbacks and all, but the first, which compiles."""

    def __init__(self):
        super().__init__()
        self._begins: list[float] = []

    @property
    def seconds(self) -> list[float]:
        return np.diff(self._begins[1:]).tolist()

    def on_epoch_begin(self, epoch, logs=None):
        self._begins.append(time.perf_counter())


def _data(examples: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    images = random.random((examples, 28, 28, 1), dtype=np.float32)
    return images, random.integers(0, 10, examples)


def _model() -> keras.Model:
    model = lenet_5()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _epoch_seconds(callbacks: list) -> list[float]:
    x, y = _data(BATCH_SIZE * STEPS)
    times = EpochTimes()
    _model().fit(
        x,
        y,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=(x[:BATCH_SIZE], y[:BATCH_SIZE]),
        callbacks=[*callbacks, times],
        verbose=0,
    )
    return times.seconds


def epoch_overhead(rounds: int) -> dict[str, Any]:
    """Plain fit and fit with a callback that is warming up, in turn, each one first every time.

    Other work on a machine only ever adds time, so of each fit the mean of the two fastest epochs
    counts.
    """
    seconds: dict[str, list[float]] = {"plain": [], "snare": []}
    for turn in range(rounds):
        for name in ("plain", "snare") if turn % 2 else ("snare", "plain"):
            callbacks = []
            if name == "snare":
                callbacks = [keras_snare.SnareCallback(warmup_epochs=EPOCHS - 1, verbose=0)]
            fastest = np.sort(_epoch_seconds(callbacks))[:2]
            seconds[name].append(float(fastest.mean()))
    pairs = zip(seconds["snare"], seconds["plain"], strict=True)
    ratios = [with_snare / without for with_snare, without in pairs]
    return {
        "network": f"LeNet-5, batch {BATCH_SIZE}, {STEPS} steps an epoch",
        "plain_seconds": seconds["plain"],
        "snare_seconds": seconds["snare"],
        "ratio_median": float(np.median(ratios)),
        "ratios": ratios,
    }


def surgery_seconds(model: keras.Model, repeats: int) -> dict[str, Any]:
    """Half of every group's units out, and back, without tracing."""
    model.optimizer.build(model.trainable_variables)
    seconds = {"analysis": [], "cut": [], "undo": []}
    for _ in range(repeats + 1):
        start = time.perf_counter()
        groups = keras_snare.channel_groups(model)
        seconds["analysis"].append(time.perf_counter() - start)
        plan = {group.name: range((group.width + 1) // 2) for group in groups.prunable()}
        start = time.perf_counter()
        undo = keras_snare.shrink(model, plan)
        seconds["cut"].append(time.perf_counter() - start)
        start = time.perf_counter()
        undo.restore()
        seconds["undo"].append(time.perf_counter() - start)
    return {name: float(np.median(values[1:])) for name, values in seconds.items()}


def memory_over_trials(trials: int) -> dict[str, Any]:
    """Resident size after every trial of a search in which every trial is rejected or accepted."""
    sizes: list[int] = []

    class Resident(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            while len(sizes) < len(snare.report.rows):
                sizes.append(_resident_bytes())

    keras.utils.set_random_seed(0)
    x, y = _data(BATCH_SIZE * 8)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *(keras.layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(14)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    snare = keras_snare.SnareCallback(
        eps=0.05, monitor="accuracy", retrain_epochs=1, max_trials=trials, verbose=0
    )
    model.fit(
        x, y, batch_size=BATCH_SIZE, epochs=4 * trials, callbacks=[snare, Resident()], verbose=0
    )
    return {
        "trials": len(sizes),
        "resident_bytes_after_5": sizes[4],
        "resident_bytes_peak_after": max(sizes[4:]),
        "ratio": max(sizes[4:]) / sizes[4],
        "process_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measures everything and writes it down."""
    parser = argparse.ArgumentParser(description="What SnareCallback costs.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    resnet = keras.applications.ResNet50(weights=None)
    resnet.compile("adam", "sparse_categorical_crossentropy")
    results = {
        "epoch": epoch_overhead(arguments.rounds),
        "surgery_lenet_5_seconds": surgery_seconds(_model(), 5),
        "surgery_resnet50_seconds": surgery_seconds(resnet, 3),
        "memory": memory_over_trials(50),
        "command": f"python benchmarks/overhead.py --rounds {arguments.rounds} --output FILE",
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    results_files.write(arguments.output, results)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
