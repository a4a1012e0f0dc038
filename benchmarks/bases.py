"""Dense layers in other forms at equal numbers of parameters: MNIST, 784-512-10 and less.

Each form has a hidden layer and an output layer. For each budget, all widths of a list are tried
whose other setting can be chosen to use the budget up, then other learning rates for the best one;
validation accuracy of the first seed decides, and what it chose is trained with all seeds. The test
set is told once for each of these. All train for the same epochs, with Adam, the learning rate
falling along half a cosine.

    python benchmarks/bases.py --output benchmarks/results/bases.json
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from datasets import load_mnist
from fourier_dense import FourierDense

from keras_snare.layers import DCTDense, KroneckerDense, LowRankDense

FULL = 407_050
SHARES = (4, 10, 50, 100)
EPOCHS = 8
BATCH_SIZE = 128
RATE, OTHER_RATES = 3e-3, (1e-3, 1e-2)
WIDTHS = (512, 256, 144, 64, 40, 24)
layers = keras.layers


@dataclass(frozen=True)
class Form:
    """How the hidden layer is made.

    Args:
        layer: Takes units and a setting, with which the parameters grow by equal steps.
        most: The greatest setting; 0 where there is none.
        widths: Those that are tried.
    """

    layer: Callable[[int, int], keras.Layer]
    most: int
    widths: tuple[int, ...] = WIDTHS


FORMS = {
    "narrow": Form(lambda units, _: layers.Dense(units, "relu"), 0),
    "low rank": Form(lambda units, rank: LowRankDense(units, rank, "relu"), 400),
    "DCT": Form(
        lambda units, count: DCTDense(units, "relu", coefficients=count, input_grid=(28, 28)), 784
    ),
    "Kronecker": Form(lambda units, rank: KroneckerDense(units, None, rank, "relu"), 16),
    "scattered Fourier": Form(
        lambda units, count: FourierDense(units, min(count, 784 * units), "relu"),
        784 * 512,
        (512, 144, 40),
    ),
}


def network(form: Form, units: int, setting: int) -> keras.Model:
    """Returns a network with one hidden layer."""
    hidden = form.layer(units, setting)
    return keras.Sequential([keras.Input((784,)), hidden, layers.Dense(10, "softmax")])


def parameters(form: Form, units: int, setting: int) -> int:
    """Returns how many it has."""
    hidden = form.layer(units, setting)
    hidden.build((None, 784))
    return hidden.count_params() + 10 * units + 10


def candidates(form: Form, most: int) -> list[tuple[int, int]]:
    """Returns widths, each with the largest setting that the budget allows."""
    if not form.most:
        sizes = [(units, 0) for units in range(512, 0, -1)]
        return [one for one in sizes if parameters(form, *one) <= most][:1]
    found = []
    for units in form.widths:
        least, next_one = (parameters(form, units, setting) for setting in (1, 2))
        setting = min(1 + (most - least) // (next_one - least), form.most)
        # Where the setting cannot be greater, a wider layer uses the budget better.
        if least <= most and (setting < form.most or not found):
            found.append((units, setting))
    return found


def trained(
    form: Form, units: int, setting: int, data: Any, seed: int, rate: float = RATE
) -> dict[str, Any]:
    """Trains a network, and tells how good it is; the test set is looked at by the caller."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = network(form, units, setting)
    steps = EPOCHS * -(-len(data.x_train) // BATCH_SIZE)
    falling = keras.optimizers.schedules.CosineDecay(rate, steps)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(falling), loss, metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(data.x_train, data.y_train, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
    seconds = time.perf_counter() - start
    validation = model.evaluate(data.x_validation, data.y_validation, batch_size=500, verbose=0)[1]
    return {
        "model": model,
        "units": units,
        "setting": setting,
        "learning_rate": rate,
        "parameters": model.count_params(),
        "seed": seed,
        "validation": validation,
        "seconds": round(seconds, 1),
    }


def measured(name: str, share: int, data: Any, seeds: list[int]) -> dict[str, Any] | None:
    """Chooses a width and a learning rate for a budget, and trains with all seeds."""
    sizes = candidates(FORMS[name], FULL // share)
    return chosen(name, sizes, data, seeds) if sizes else None


def chosen(name: str, sizes: list[tuple[int, int]], data: Any, seeds: list[int]) -> dict[str, Any]:
    """Chooses one of several sizes, and its learning rate, and trains with all seeds."""
    form, tried = FORMS[name], []

    def attempt(units: int, setting: int, rate: float) -> None:
        found = trained(form, units, setting, data, seeds[0], rate)
        del found["model"]
        tried.append(found)
        print(name, found["parameters"], units, setting, rate, found["validation"], flush=True)

    for size in sizes:
        attempt(*size, RATE)
    best = max(tried, key=lambda one: one["validation"])
    for rate in OTHER_RATES:
        attempt(best["units"], best["setting"], rate)
    best = max(tried, key=lambda one: one["validation"])
    runs = [_told(form, best, data, seed) for seed in seeds]
    return {"tried": tried, "runs": runs, "median": _median(runs)}


def _told(form: Form, best: dict[str, Any], data: Any, seed: int) -> dict[str, Any]:
    rate = best["learning_rate"]
    found = trained(form, best["units"], best["setting"], data, seed, rate)
    model = found.pop("model")
    found["test"] = model.evaluate(data.x_test, data.y_test, batch_size=500, verbose=0)[1]
    return found


def _median(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {key: float(np.median([one[key] for one in runs])) for key in ("validation", "test")}


def main() -> None:
    """Measures budget by budget, and writes the results after each."""
    parser = argparse.ArgumentParser(description="Dense layers in other forms.")
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--shares", nargs="+", type=int, default=list(SHARES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    path, data = arguments.output, load_mnist(flat=True)
    results = json.loads(path.read_text()) if path.is_file() else {}
    words = ["python", "benchmarks/bases.py", "--output", "FILE"]
    results |= {
        "command": results_files.command(*words, "--seeds", *map(str, arguments.seeds)),
        "data": data.source,
        "epochs": EPOCHS,
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    if "full" not in results:
        results["full"] = chosen("narrow", [(512, 0)], data, arguments.seeds)
        results_files.write(path, results)
    for share in arguments.shares:
        for name in arguments.forms:
            found = measured(name, share, data, arguments.seeds)
            results.setdefault("budgets", {}).setdefault(str(share), {})[name] = found
            results_files.write(path, results)


if __name__ == "__main__":
    main()
