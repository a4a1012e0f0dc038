"""A deep network in other forms at equal numbers of parameters: MNIST, four layers of 2,048.

Each form has four hidden layers and an output layer, and takes as wide layers, or as high a rank,
as the budget allows; where it cannot use half of a budget, it is left out. Nothing is chosen by
results. All train for the same epochs, with Adam, the
learning rate falling along half a cosine from the same value. Validation accuracy, and test
accuracy, of the last epoch.

    python benchmarks/deep_bases.py --output benchmarks/results/deep_bases.json
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import results_files
from datasets import load_mnist

from keras_snare.layers import DCTDense, KroneckerDense, LowRankDense

WIDTH, HIDDEN = 2048, 4
SHARES = (4, 10, 50, 100)
EPOCHS, RATE, BATCH_SIZE = 5, 1e-3, 128
FREQUENCIES = 147
layers = keras.layers


def _narrow(width: int) -> list[keras.Layer]:
    return [layers.Dense(width, "relu") for _ in range(HIDDEN)]


def _low_rank(rank: int) -> list[keras.Layer]:
    return [LowRankDense(WIDTH, rank, "relu") for _ in range(HIDDEN)]


def _kronecker(rank: int) -> list[keras.Layer]:
    return [KroneckerDense(WIDTH, None, rank, "relu") for _ in range(HIDDEN)]


def _spectral(width: int) -> list[keras.Layer]:
    first = DCTDense(width, "relu", coefficients=FREQUENCIES, input_grid=(28, 28))
    return [first, *_narrow(width)[1:]]


# What makes the hidden layers, and the greatest width or rank.
FORMS: dict[str, tuple[Callable[[int], list[keras.Layer]], int]] = {
    "narrow": (_narrow, WIDTH),
    "low rank": (_low_rank, WIDTH // 2),
    # Greater ranks would train for much longer than all other forms together.
    "Kronecker": (_kronecker, 6),
    "DCT, then narrow": (_spectral, WIDTH),
}


def network(name: str, setting: int) -> keras.Model:
    """Returns a network of a form."""
    hidden = FORMS[name][0](setting)
    return keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10, "softmax")])


def largest(name: str, most: int) -> int | None:
    """Returns the greatest width or rank with so many parameters at most, if there is one."""
    low, high = 0, FORMS[name][1]
    while low < high:
        middle = (low + high + 1) // 2
        keras.utils.clear_session()
        if network(name, middle).count_params() <= most:
            low = middle
        else:
            high = middle - 1
    return low or None


def trained(name: str, setting: int, data: Any, seed: int) -> dict[str, Any]:
    """Trains a network, and tells how good it is."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = network(name, setting)
    steps = EPOCHS * -(-len(data.x_train) // BATCH_SIZE)
    falling = keras.optimizers.schedules.CosineDecay(RATE, steps)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(falling), loss, metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(data.x_train, data.y_train, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
    found = {
        "setting": setting,
        "parameters": model.count_params(),
        "seed": seed,
        "seconds": round(time.perf_counter() - start, 1),
        "validation": model.evaluate(data.x_validation, data.y_validation, 500, verbose=0)[1],
        "test": model.evaluate(data.x_test, data.y_test, 500, verbose=0)[1],
    }
    print(name, found, flush=True)
    return found


def main() -> None:
    """Measures from the smallest networks to the whole one, and writes the results after each."""
    parser = argparse.ArgumentParser(description="A deep network in other forms.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    path, data = arguments.output, load_mnist(flat=True)
    results = json.loads(path.read_text()) if path.is_file() else {}
    words = ["python", "benchmarks/deep_bases.py", "--output", "FILE"]
    results |= {
        "command": results_files.command(*words, "--seeds", *map(str, arguments.seeds)),
        "data": data.source,
        "epochs": EPOCHS,
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    full = network("narrow", WIDTH).count_params()
    for share in (*reversed(SHARES), 1):
        for name in FORMS if share > 1 else ("narrow",):
            known = results.setdefault("budgets", {}).setdefault(str(share), {})
            setting = largest(name, full // share)
            if setting is None or 2 * network(name, setting).count_params() < full // share:
                continue
            if name not in known:
                known[name] = [trained(name, setting, data, seed) for seed in arguments.seeds]
                results_files.write(path, results)


if __name__ == "__main__":
    main()
