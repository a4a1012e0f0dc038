"""Retraining of the whole network against that of the layers around a cut, trial by trial.

`compress` searches twice on each network, with the same settings: with `retrain="full"` and with
`retrain="blocks"`. Wall time and metric are told for each trial and for the whole search, to which
the short training of the whole network belongs that follows on blocks. Units are scored on the same
examples. Validation data decide; the test set is evaluated once per network, and decides nothing.

LeNet-5 is trained here, or found where another benchmark left it. ResNet-8 is MLPerf Tiny's, and
learns what it said of the training images itself. The dense layers of VGG16 are those of
`factorize.py`.

    python benchmarks/retraining.py --base DIR --output benchmarks/results/retraining.json
"""

import argparse
import contextlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from base_training import BASE_NETWORKS, train_base
from factorize import VGG16Dense
from mlperf_tiny import images, load

import keras_snare

WAYS = ("full", "blocks")
SCORED = 1024
SETTINGS: dict[str, dict[str, Any]] = {
    "LeNet-5": {"eps": 0.005, "retrain_epochs": 5, "max_trials": 16, "batch_size": 128},
    "ResNet-8": {
        "eps": 0.02,
        "retrain_epochs": 2,
        "max_trials": 8,
        "first_step": 0.125,
        "batch_size": 32,
    },
    "VGG16": {"eps": 0.01, "retrain_epochs": 2, "max_trials": 6, "batch_size": 128},
}


class LeNet5:
    """LeNet-5 on MNIST; the seed is that of its training too."""

    def __init__(self, directory: Path):
        self.directory = directory
        data = BASE_NETWORKS["lenet_5"].load()
        self.train = data.x_train, data.y_train
        self.validation = data.x_validation, data.y_validation
        self.test = data.x_test, data.y_test

    def model(self, seed: int) -> keras.Model:
        """The trained network."""
        return keras.models.load_model(train_base("lenet_5", seed, self.directory))


class ResNet8:
    """MLPerf Tiny's ResNet-8 on the subset of CIFAR-10; the seed is that of retraining."""

    def __init__(self, folder: Path):
        self.folder = folder
        train, validation, test = images(folder)
        self.train = train[0], load(folder, "ResNet-8").predict(train[0], verbose=0)
        self.validation, self.test = (
            (x, np.eye(10, dtype="float32")[y]) for x, y in (validation, test)
        )

    def model(self, _seed: int) -> keras.Model:
        """The given network."""
        model = load(self.folder, "ResNet-8")
        optimizer = keras.optimizers.Adam(3e-4)
        model.compile(optimizer, "kl_divergence", metrics=["accuracy"], jit_compile=False)
        return model


class VGG16:
    """The dense layers of VGG16 on features of the same images."""

    def __init__(self, folder: Path):
        self.layers = VGG16Dense(folder)
        self.train, self.validation = self.layers.train, self.layers.validation
        self.test = self.layers.test

    def model(self, seed: int) -> keras.Model:
        """The layers, trained."""
        model = self.layers.model(seed)
        model.compile(
            keras.optimizers.Adam(1e-4),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
        return model


class Clock(io.StringIO):
    """Notes when each line of a search was printed."""

    def __init__(self):
        super().__init__()
        self.times: list[float] = []

    def write(self, text: str) -> int:
        self.times += [time.perf_counter()] * (": trial " in text)
        return super().write(text)


def searched(name: str, network: Any, way: str, seed: int) -> dict[str, Any]:
    """One search."""
    keras.utils.set_random_seed(seed)
    model = network.model(seed)
    scoring = tuple(part[:SCORED] for part in network.train)
    before = figures(model, network)
    clock, start = Clock(), time.perf_counter()
    with contextlib.redirect_stdout(clock):
        _, report = keras_snare.compress(
            model,
            network.train,
            network.validation,
            scoring_data=scoring,
            retrain=way,
            seed=seed,
            verbose=1,
            early_rejection=False,
            **SETTINGS[name],
        )
    end = time.perf_counter()
    # The first trial begins when the warm-up ends, whose length no line tells: it is left out.
    seconds = [None, *np.diff(clock.times).round(2).tolist()]
    rows = [
        {
            "layer": row.layer,
            "widths": [row.width_before, row.width_after],
            "metric": row.metric,
            "epochs": row.epochs,
            "accepted": row.accepted,
            "seconds": one,
        }
        for row, one in zip(report.rows, seconds, strict=True)
    ]
    return {
        "seed": seed,
        "before": before,
        "after": figures(model, network),
        "seconds": round(end - start, 1),
        "accepted": report.accepted,
        "finished": report.finished,
        "rows": rows,
    }


def figures(model: keras.Model, network: Any) -> dict[str, Any]:
    """What is told of a network."""
    cost = keras_snare.cost(model)
    accuracy = {
        part: model.evaluate(*data, batch_size=250, verbose=0, return_dict=True)["accuracy"]
        for part, data in (("validation", network.validation), ("test", network.test))
    }
    return {"params": cost.params, "flops": cost.flops, **accuracy}


def main() -> None:
    """Measures network by network, and writes the results after each search."""
    parser = argparse.ArgumentParser(description="Two ways to retrain.")
    parser.add_argument("--base", type=Path, required=True, help="folder of trained base networks")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", default=["LeNet-5", "ResNet-8", "VGG16"])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    path = arguments.output
    results = json.loads(path.read_text()) if path.is_file() else {"networks": {}}
    words = ["python", "benchmarks/retraining.py", "--base", "DIR", "--output", "FILE"]
    results |= {
        "command": results_files.command(*words),
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    folder = Path(os.environ["KERAS_SNARE_DATA"])
    makers = {
        "LeNet-5": lambda: LeNet5(arguments.base),
        "ResNet-8": lambda: ResNet8(folder),
        "VGG16": lambda: VGG16(folder),
    }
    for name in arguments.networks:
        network, found = makers[name](), {way: [] for way in WAYS}
        for seed in arguments.seeds[: 1 if name == "VGG16" else None]:
            for way in WAYS:
                found[way].append(searched(name, network, way, seed))
                short = {key: one for key, one in found[way][-1].items() if key != "rows"}
                print(name, way, short, flush=True)
                results["networks"][name] = {"settings": SETTINGS[name], **found}
                results_files.write(path, results)


if __name__ == "__main__":
    main()
