"""Test error against compression on MNIST, connections pruned, beside published figures.

python benchmarks/published_marks.py --output benchmarks/results/published_marks.json

Networks are trained; the first is pruned to every compression, in a `fit` of its own, while all of
them teach it. Validation data chose the settings; of each point the last epoch counts, and the test
set is told once.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from datasets import Dataset, load_mnist
from lessons import Lessons
from networks import lenet_5_caffe, lenet_300_100
from thesis_snare import medians

import keras_snare


@dataclass(frozen=True)
class Recipe:
    """How one network is trained and pruned.

    Args:
        compressions: weights before over weights kept, point by point.
        dense_epochs: epochs of training before the first point.
        epochs: epochs of each point.
        prune_epochs: epochs in which the sparsity grows; in the others it stands.
        learning_rate: of Adam, falling to 0 along half a cosine in the training of the dense
            network, and in each point when the sparsity stands.
        shifted: whether each point also trains on images moved by a pixel to the four sides.
        teachers: how many dense networks teach, of which the first is pruned.
        temperature: of the mean of their answers.
        alpha: share of their answers in the loss; the labels have the rest.
        batch_size: examples of a step; an epoch has as many as without moved images.
        frequency: steps between two updates of the masks.
    """

    compressions: tuple[float, ...]
    dense_epochs: int
    epochs: int
    prune_epochs: int
    learning_rate: float
    shifted: bool = False
    teachers: int = 3
    temperature: float = 4.0
    alpha: float = 0.9
    batch_size: int = 128
    frequency: int = 50


@dataclass(frozen=True)
class Case:
    """A network, its goal, and what others published.

    Args:
        build: Returns the uncompiled model.
        flat: Whether it takes rows of pixels.
        goal: Compression at least, and test error in per cent at most.
        published: Method, compression and test error in per cent.
        recipe: How it is trained and pruned.
    """

    build: Callable[[], keras.Model]
    flat: bool
    goal: tuple[float, float]
    published: list[tuple[str, float, float]]
    recipe: Recipe


MLP = Case(
    lambda: lenet_300_100("relu"),
    True,
    (50, 2.0),
    [
        ("Han et al. 2015", 12, 1.59),
        ("Dynamic Network Surgery, 2016", 56, 1.99),
        ("sparse variational dropout, 2017", 68, 1.92),
    ],
    Recipe((30.0, 54.0, 75.0, 110.0), 15, 40, 20, 1e-3),
)
CASES = {
    "LeNet-300-100": MLP,
    "LeNet-300-100, shifted images": replace(
        MLP, recipe=Recipe((30.0, 54.0, 75.0, 110.0), 15, 40, 20, 2e-3, shifted=True)
    ),
    "LeNet-5-Caffe": Case(
        lenet_5_caffe,
        False,
        (100, 0.95),
        [
            ("Han et al. 2015", 12, 0.77),
            ("Dynamic Network Surgery, 2016", 108, 0.91),
            ("sparse variational dropout, 2017", 280, 0.75),
        ],
        Recipe((60.0, 112.0, 280.0), 8, 12, 6, 2e-3, teachers=1),
    ),
}


def train(case: Case, data: Dataset) -> keras.Model:
    """Returns the dense network, trained on the labels."""
    recipe, model = case.recipe, case.build()
    _compile(model, recipe)
    model.fit(
        data.x_train,
        data.y_train,
        batch_size=recipe.batch_size,
        epochs=recipe.dense_epochs,
        callbacks=[_falling(recipe.learning_rate, 0, recipe.dense_epochs)],
        verbose=0,
    )
    return model


def compress(recipe: Recipe, model: keras.Model, lessons: Lessons, kept: int, seed: int) -> None:
    """Prunes a model until `kept` weights are left, in one `fit`, taught by given answers."""
    prune = keras_snare.MagnitudePruneCallback(
        1 - kept / sum(one.size for one in _kernels(model)),
        end_epoch=recipe.prune_epochs,
        per="step",
        frequency=recipe.frequency,
        scope="global",
        remove_dead=True,
    )
    taught = keras_snare.DistillationCallback(
        "targets",
        teacher_outputs="probabilities",
        temperature=recipe.temperature,
        alpha=recipe.alpha,
    )
    falling = _falling(recipe.learning_rate, recipe.prune_epochs, recipe.epochs)
    _compile(model, recipe)
    model.fit(
        lessons.batches(seed),
        steps_per_epoch=lessons.steps,
        epochs=recipe.epochs,
        shuffle=False,
        callbacks=[prune, taught, falling],
        verbose=0,
    )


def _compile(model: keras.Model, recipe: Recipe) -> None:
    adam = keras.optimizers.Adam(recipe.learning_rate)
    model.compile(adam, "sparse_categorical_crossentropy", jit_compile=False)


def _falling(rate: float, start: int, epochs: int) -> keras.callbacks.Callback:
    """A learning rate that stands, then falls along half a cosine, to 0 behind the last epoch."""

    def at(epoch, _):
        done = max(epoch - start, 0) / (epochs - start)
        return rate * (1 + math.cos(math.pi * done)) / 2

    return keras.callbacks.LearningRateScheduler(at)


def _kernels(model: keras.Model) -> list[np.ndarray]:
    return [one for one in model.get_weights() if one.ndim > 1]


def counts(model: keras.Model) -> dict[str, int]:
    """Weights that are kept, and with them the biases: all but those that are exactly zero."""
    weights = [int(np.count_nonzero(one)) for one in model.get_weights()]
    kernels = [int(np.count_nonzero(one)) for one in _kernels(model)]
    return {"weights": sum(kernels), "params": sum(weights)}


def run(name: str, seed: int, pilot: bool) -> list[dict[str, Any]]:
    """Trains a network and compresses it; returns its points."""
    case, start = CASES[name], time.process_time()
    data = load_mnist(flat=case.flat)
    recipe, teachers = case.recipe, []
    for number in range(recipe.teachers):
        keras.utils.set_random_seed(100 * seed + number)
        teachers.append(train(case, data))
    lessons = Lessons(recipe.batch_size, recipe.shifted, data, teachers)
    before, points = counts(teachers[0]), []
    for asked in (1.0, *recipe.compressions):
        model = keras.models.clone_model(teachers[0])
        model.set_weights(teachers[0].get_weights())
        if asked > 1:
            compress(recipe, model, lessons, round(before["weights"] / asked), seed)
        kept = counts(model)
        validation = _error(model, data.x_validation, data.y_validation)
        point = {
            "seed": seed,
            "asked": asked,
            "compression": before["params"] / kept["params"],
            "compression_of_weights": before["weights"] / kept["weights"],
            **kept,
            "validation_error": validation,
            "widths": [one.shape[-1] for one in _kernels(model)],
            "kept": [int(np.count_nonzero(one)) for one in _kernels(model)],
            "cpu_seconds": round(time.process_time() - start, 1),
        }
        print(name, json.dumps(point), flush=True)
        # Not shown while settings are chosen.
        test = {} if pilot else {"test_error": _error(model, data.x_test, data.y_test)}
        points.append({**point, **test})
    return points


def _error(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    found = model.predict(x, batch_size=500, verbose=0).argmax(axis=1)
    return float(100 * np.mean(found != y))


def _command(names: list[str], seeds: list[int]) -> str:
    words = ["python", "benchmarks/published_marks.py", "--output", "FILE"]
    return results_files.command(*words, "--networks", *names, "--seeds", *map(str, seeds))


def _summary(points: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The median over the seeds of every figure, point by point."""
    asked = dict.fromkeys(one["asked"] for one in points)
    return [medians([one for one in points if one["asked"] == each]) for each in asked]


def main() -> None:
    """Runs one seed after the other and writes the results after each."""
    parser = argparse.ArgumentParser(description="Test error against compression on MNIST.")
    parser.add_argument("--networks", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    aim = parser.add_mutually_exclusive_group(required=True)
    aim.add_argument("--output", type=Path)
    aim.add_argument("--pilot", action="store_true", help="say validation figures only")
    arguments = parser.parse_args()
    path = arguments.output
    results = json.loads(path.read_text()) if path is not None and path.is_file() else {}
    for name in arguments.networks:
        points: list[dict[str, Any]] = []
        for at, seed in enumerate(arguments.seeds):
            points += run(name, seed, arguments.pilot)
            case, seeds = CASES[name], arguments.seeds[: at + 1]
            results[name] = {
                "goal": case.goal,
                "published": case.published,
                "recipe": asdict(case.recipe),
                "command": _command([name], seeds),
                "machine": results_files.machine(),
                "versions": results_files.versions(),
                "median": _summary(points),
                "points": points,
            }
            if path is not None:
                results_files.write(path, results)


if __name__ == "__main__":
    main()
