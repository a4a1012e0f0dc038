"""Time of a step of dense layers in other forms, against `Dense`, in one process.

One layer from 2,048 features to 2,048 units at a tenth of the weights; the forms take turns, and
what counts is the median over rounds of the ratio within a round. A training step is forward,
backward and Adam.

    python benchmarks/bases_times.py --output benchmarks/results/bases_times.json
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
import tensorflow as tf
from fourier_dense import FourierDense

from keras_snare.layers import DCTDense, KroneckerDense, LowRankDense

WIDTH = 2048
BATCHES = (1, 256)
FORMS: dict[str, Callable[[], keras.Layer]] = {
    "Dense": lambda: keras.layers.Dense(WIDTH),
    "DCT": lambda: DCTDense(WIDTH, coefficients=0.1),
    "DCT, grid of 32 by 64": lambda: DCTDense(WIDTH, coefficients=0.1, input_grid=(32, 64)),
    "low rank": lambda: LowRankDense(WIDTH, WIDTH // 20),
    "Kronecker, rank 4": lambda: KroneckerDense(WIDTH, rank=4),
    "scattered Fourier": lambda: FourierDense(WIDTH, WIDTH * WIDTH // 10),
}


def forward(layer: keras.Layer, batch: Any) -> Callable[[], Any]:
    """Returns what computes the layer once, compiled."""
    compute = tf.function(layer)
    # An argument, so that no part of it is computed beforehand.
    return lambda: compute(batch)


def training(layer: keras.Layer, batch: Any) -> Callable[[], Any]:
    """Returns what makes one step of Adam, compiled."""
    optimizer = keras.optimizers.Adam()
    optimizer.build(layer.trainable_variables)

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(layer(inputs) ** 2)
        slopes = tape.gradient(loss, [one.value for one in layer.trainable_variables])
        optimizer.apply(slopes, layer.trainable_variables)
        return loss

    return lambda: step(batch)


def seconds(function: Callable[[], Any], least: float) -> float:
    """Returns the time of one call, of as many as take `least` seconds."""
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < least:
        found = function()
        calls += 1
    np.asarray(found)
    return (time.perf_counter() - start) / calls


def measured(size: int, rounds: int, least: float) -> dict[str, Any]:
    """Times all forms at one batch size."""
    keras.utils.set_random_seed(0)
    batch = tf.random.normal((size, WIDTH))
    made = {name: form() for name, form in FORMS.items()}
    for layer in made.values():
        layer.build((None, WIDTH))
    found: dict[str, Any] = {name: {"parameters": one.count_params()} for name, one in made.items()}
    for kind, compiled in (("forward", forward), ("training", training)):
        calls = {name: compiled(layer, batch) for name, layer in made.items()}
        for call in calls.values():
            seconds(call, least)  # Traces, and warms up.
        times = [
            {name: seconds(call, least) for name, call in calls.items()} for _ in range(rounds)
        ]
        for name in made:
            own = [one[name] for one in times]
            ratios = [one["Dense"] / one[name] for one in times]
            found[name][kind] = {
                "microseconds": round(1e6 * float(np.median(own)), 1),
                "times as fast": round(float(np.median(ratios)), 2),
            }
            print(size, name, kind, found[name][kind], flush=True)
    return found


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description="Time of dense layers in other forms.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each form in each round")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    words = ["python", "benchmarks/bases_times.py", "--rounds", str(arguments.rounds)]
    words += ["--seconds", str(arguments.seconds), "--output", "FILE"]
    results = {
        "batches": {
            str(size): measured(size, arguments.rounds, arguments.seconds) for size in BATCHES
        },
        "command": results_files.command(*words),
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    results_files.write(arguments.output, results)


if __name__ == "__main__":
    main()
