"""Accuracy right after half of every layer's units is cut, with and without `compensate`.

No training follows. LeNet-5 is trained here, or found where another benchmark left it; ResNet-8 is
MLPerf Tiny's. Scores and compensation come from the same examples of the training part, another
draw for every seed. The test set is evaluated once per cut, and decides nothing.

    python benchmarks/compensation.py --base DIR --output benchmarks/results/compensation.json

`KERAS_SNARE_DATA` names a folder with `mnist.npz`, `models/pretrainedResnet.h5` and
`cifar10_subset.npz`.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from base_training import BASE_NETWORKS, train_base
from mlperf_tiny import images, load

import keras_snare

AMOUNT = 0.5
CRITERIA = ("l1_in", "taylor", "similarity")
EXAMPLES, FEWER_EXAMPLES = 1024, 128
Part = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Treatment:
    """What is done for the readers of units that go.

    Args:
        name: under which it is reported.
        arguments: of `prune`.
        examples: how many the criterion, if it looks at data, and `compensate` see.
    """

    name: str
    arguments: dict[str, Any]
    examples: int = EXAMPLES


TREATMENTS = (
    Treatment("nothing", {}),
    Treatment("fold_constants", {"fold_constants": True}),
    Treatment("mean", {"compensate": "mean"}),
    Treatment("least_squares", {"compensate": "least_squares"}),
    Treatment(
        f"least_squares, {FEWER_EXAMPLES} examples",
        {"compensate": "least_squares"},
        FEWER_EXAMPLES,
    ),
)


@dataclass(frozen=True)
class Network:
    """A trained network by seed, and its data.

    Args:
        model: returns it, compiled.
        train, validation, test: images and labels.
    """

    model: Callable[[int], keras.Model]
    train: Part
    validation: Part
    test: Part


def lenet_5(directory: Path) -> Network:
    """LeNet-5 on MNIST; the seed is that of its training too."""
    data = BASE_NETWORKS["lenet_5"].load()
    return Network(
        lambda seed: keras.models.load_model(train_base("lenet_5", seed, directory)),
        (data.x_train, data.y_train),
        (data.x_validation, data.y_validation),
        (data.x_test, data.y_test),
    )


def resnet_8(folder: Path) -> Network:
    """MLPerf Tiny's ResNet-8 on the subset of CIFAR-10; the seed draws the examples only."""

    def model(_seed: int) -> keras.Model:
        found = load(folder, "ResNet-8")
        found.compile(loss="sparse_categorical_crossentropy")
        return found

    return Network(model, *images(folder))


def accuracy(model: keras.Model, data: Part) -> float:
    """Share of images whose class is found."""
    x, y = data
    return float(np.mean(model.predict(x, batch_size=500, verbose=0).argmax(axis=1) == y))


def cut(network: Network, seed: int, criterion: str, treatment: Treatment) -> dict[str, Any]:
    """Cuts a fresh model and measures it; where the cut is refused, the reason is returned."""
    order = np.random.default_rng(seed).permutation(len(network.train[1]))
    x, y = (part[order[: treatment.examples]] for part in network.train)
    model = network.model(seed)
    start = time.perf_counter()
    try:
        report = keras_snare.prune(
            model, AMOUNT, criterion=criterion, scope="local", data=(x, y), **treatment.arguments
        )
    except keras_snare.UnsupportedModelError as error:
        return {"seed": seed, "refused": str(error)}
    seconds = time.perf_counter() - start
    return {
        "seed": seed,
        "params_ratio": report.params_ratio,
        "flops_ratio": report.flops_ratio,
        "validation": accuracy(model, network.validation),
        "test": accuracy(model, network.test),
        "seconds": round(seconds, 2),
    }


def run(network: Network, seeds: list[int]) -> dict[str, Any]:
    """The uncut network, then every criterion with every treatment."""
    uncut = [
        {
            "seed": seed,
            "validation": accuracy(network.model(seed), network.validation),
            "test": accuracy(network.model(seed), network.test),
        }
        for seed in seeds
    ]
    cuts: dict[str, dict[str, Any]] = {}
    for criterion in CRITERIA:
        cuts[criterion] = {}
        for treatment in TREATMENTS:
            found = [cut(network, seed, criterion, treatment) for seed in seeds]
            cuts[criterion][treatment.name] = found
            print(criterion, treatment.name, found, flush=True)
    return {"uncut": uncut, "cuts": cuts}


def command(seeds: list[int]) -> str:
    """The command that the results come from."""
    words = ["python", "benchmarks/compensation.py", "--base", "DIR", "--output", "FILE"]
    return results_files.command(*words, "--seeds", *map(str, seeds))


def main() -> None:
    """Cuts both networks and writes what came out."""
    parser = argparse.ArgumentParser(description="Accuracy right after a cut, by compensation.")
    parser.add_argument("--base", type=Path, required=True, help="folder of trained base networks")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    if "KERAS_SNARE_DATA" not in os.environ:
        raise SystemExit("Set KERAS_SNARE_DATA to the folder that holds models/ and the images.")
    results = {
        "amount": AMOUNT,
        "scope": "local",
        "examples": EXAMPLES,
        "fewer_examples": FEWER_EXAMPLES,
        "command": command(arguments.seeds),
        "machine": results_files.machine(),
        "versions": results_files.versions(),
        "networks": {
            "LeNet-5": run(lenet_5(arguments.base), arguments.seeds),
            "ResNet-8": run(resnet_8(Path(os.environ["KERAS_SNARE_DATA"])), arguments.seeds),
        },
    }
    results_files.write(arguments.output, results)


if __name__ == "__main__":
    main()
