"""Lottery tickets: LeNet-300-100 on MNIST as in the paper, and a small network on Fashion-MNIST.

MNIST: tickets against the same masks with fresh initial values, at the paper's sparsities: when the
validation loss is lowest, and the test accuracy then and at the end. Fashion-MNIST: tickets of the
hidden layers against a network from which whole neurons were deleted by their biases.

    python benchmarks/lottery.py --output benchmarks/results/lottery.json
"""

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
import tensorflow as tf
from datasets import Dataset, load_fashion_mnist, load_mnist

import keras_snare

PER_EPOCH = 100  # Validation every so many steps: `fit` is told that this is an epoch.
# Rounds that prune 20 %, the output layer 10 %: 100, 51.3, 21.1, 7.0, 3.6 and 1.9 % are left.
LEVELS = (0, 3, 7, 12, 15, 18)
MNIST = {"batch_size": 60, "learning_rate": 1.2e-3, "iterations": 10_000, "fraction": 0.2}
# 1,720 batches are once through the training images.
FASHION = {
    "batch_size": 32,
    "learning_rate": 0.01,
    "epochs": 10,
    "iterations": 17_200,
    "fraction": 0.2,
    "rounds": 14,
}


def network(units: tuple[int, ...], initializer: str = "glorot_uniform") -> keras.Model:
    """A dense network with 784 inputs and ReLU between its layers."""
    sizes = [*(f"hidden{at}" for at in range(1, len(units))), "classes"]
    kinds = ["relu"] * (len(units) - 1) + ["softmax"]
    layers = [
        keras.layers.Dense(count, kind, kernel_initializer=initializer, name=name)
        for count, kind, name in zip(units, kinds, sizes, strict=True)
    ]
    return keras.Sequential([keras.Input((784,)), *layers])


def compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer, steps: int) -> keras.Model:
    """Compiles it, with `steps` steps in one call."""
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=steps)
    return model


def batches(dataset: Dataset, size: int, seed: int) -> tf.data.Dataset:
    """Training batches without an end, in an order that the seed gives."""
    x, y = tf.constant(dataset.x_train), tf.constant(dataset.y_train)
    order = tf.data.Dataset.range(len(dataset.x_train)).shuffle(len(dataset.x_train), seed=seed)
    found = order.repeat().batch(size).map(lambda at: (tf.gather(x, at), tf.gather(y, at)))
    return found.prefetch(2)


def accuracy(weights: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    """Accuracy of a dense network with ReLU between its layers."""
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = np.maximum(x @ kernel + bias, 0)
    return float(np.mean(np.argmax(x @ weights[-2] + weights[-1], axis=1) == y))


class Trainings(keras.callbacks.Callback):
    """Keeps of every training the weights at its lowest validation loss and at its end.

    Args:
        epochs: of one training.
    """

    def __init__(self, epochs: int):
        super().__init__()
        self.epochs = epochs
        self.found: list[dict[str, Any]] = []

    def on_epoch_end(self, epoch, logs=None):
        at = epoch % self.epochs
        if at == 0:
            self.found.append({"lowest": np.inf})
        training = self.found[-1]
        if logs["val_loss"] < training["lowest"]:
            training.update(lowest=logs["val_loss"], epoch=at + 1)
            training["early"] = logs["val_accuracy"], self.model.get_weights()
        if at == self.epochs - 1:
            training["end"] = logs["val_accuracy"], self.model.get_weights()


def trained(model, dataset: Dataset, callbacks: list, epochs: int, seed: int, size: int, **options):
    """Trains with validation at the end of every epoch."""
    model.fit(
        batches(dataset, size, seed),
        epochs=epochs,
        validation_data=(dataset.x_validation, dataset.y_validation),
        validation_batch_size=1000,
        callbacks=callbacks,
        verbose=0,
        **options,
    )


def run_mnist(seed: int) -> dict[str, Any]:
    """Tickets of LeNet-300-100, and each level once more with fresh values."""
    dataset, start = load_mnist(flat=True), time.perf_counter()
    keras.utils.set_random_seed(seed)
    each, size = MNIST["iterations"] // PER_EPOCH, MNIST["batch_size"]

    def new_model():
        model = network((300, 100, 10), "glorot_normal")
        return compiled(model, keras.optimizers.Adam(MNIST["learning_rate"]), 20)

    model, tickets = new_model(), Trainings(each)
    lottery = keras_snare.LotteryTicketCallback(
        LEVELS[-1], MNIST["fraction"], scope="layer", monitor="val_accuracy"
    )
    epochs = each * (LEVELS[-1] + 1)
    trained(model, dataset, [lottery, tickets], epochs, seed, size, steps_per_epoch=PER_EPOCH)
    rows = []
    for at in LEVELS:
        ticket = lottery.tickets[at]
        rows.append(_row("ticket", ticket, tickets.found[at], dataset))
        if at:
            model, fresh = new_model(), Trainings(each)
            ticket.reinitialized(model, seed=1000 + seed).apply(model)
            callbacks = [keras_snare.HoldMasksCallback(ticket.masks), fresh]
            order = seed + 100 * at
            trained(model, dataset, callbacks, each, order, size, steps_per_epoch=PER_EPOCH)
            rows.append(_row("reinitialized", ticket, fresh.found[0], dataset))
        print(json.dumps(rows[-2:]), flush=True)
    return {
        "seed": seed,
        "data": dataset.source,
        "rows": rows,
        "report": json.loads(lottery.report.to_json()),
        "seconds": round(time.perf_counter() - start, 1),
    }


def _row(kind: str, ticket, training: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    (early_validation, early), (validation, end) = training["early"], training["end"]
    return {
        "kind": kind,
        "round": ticket.round,
        "left": 1 - ticket.sparsity,
        "early_iteration": training["epoch"] * PER_EPOCH,
        "early_validation_loss": training["lowest"],
        "early_validation": early_validation,
        "early_test": accuracy(early, dataset.x_test, dataset.y_test),
        "validation": validation,
        "test": accuracy(end, dataset.x_test, dataset.y_test),
    }


def run_fashion(seed: int) -> dict[str, Any]:
    """Tickets of 784-300-150-10, and the same network with neurons deleted by their biases."""
    dataset, start = load_fashion_mnist(flat=True), time.perf_counter()
    keras.utils.set_random_seed(seed)
    epochs, size = FASHION["epochs"], FASHION["batch_size"]
    steps = FASHION["iterations"] // epochs

    def new_model():
        optimizer = keras.optimizers.SGD(FASHION["learning_rate"])
        return compiled(network((300, 150, 10)), optimizer, 20)

    model, tickets = new_model(), Trainings(epochs)
    lottery = keras_snare.LotteryTicketCallback(
        FASHION["rounds"],
        FASHION["fraction"],
        layers=["hidden1", "hidden2"],
        monitor="val_accuracy",
    )
    total = epochs * (FASHION["rounds"] + 1)
    trained(model, dataset, [lottery, tickets], total, seed, size, steps_per_epoch=steps)
    ends = [training["end"] for training in tickets.found]
    others = model.count_params() - lottery.report.connections
    counts = [others + row.kept for row in lottery.report.rows]
    # The smallest network that validates as well as the whole one, and the first below half.
    good = [at for at, end in enumerate(ends) if end[0] >= ends[0][0]]
    half = next(at for at, count in enumerate(counts) if 2 * count <= counts[0])
    rows = [
        _outcome(name, counts[at], *ends[at], dataset) | {"round": at}
        for name, at in (("whole", 0), ("ticket, half", half), ("ticket, smallest", good[-1]))
    ]
    narrow = new_model()
    lottery.tickets[0].apply(narrow)
    keras_snare.shrink(narrow, surviving_neurons(ends[0][1]))
    deleted = Trainings(epochs)
    trained(narrow, dataset, [deleted], epochs, seed + 100, size, steps_per_epoch=steps)
    name = "neurons deleted by bias"
    rows.append(_outcome(name, narrow.count_params(), *deleted.found[0]["end"], dataset))
    rows[-1]["widths"] = [layer.units for layer in narrow.layers]
    return {
        "seed": seed,
        "data": dataset.source,
        "rows": rows,
        "validation_by_round": [end[0] for end in ends],
        "parameters_by_round": counts,
        "seconds": round(time.perf_counter() - start, 1),
    }


def surviving_neurons(weights: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The hidden neurons whose bias is above a threshold, at which half of the parameters stay."""
    first, second = np.abs(weights[1]), np.abs(weights[3])
    for threshold in np.sort(np.concatenate([first, second])):
        kept = {"hidden1": np.flatnonzero(first > threshold)}
        kept["hidden2"] = np.flatnonzero(second > threshold)
        widths = [784, *map(len, kept.values()), 10]
        sizes = [(a + 1) * b for a, b in itertools.pairwise(widths)]
        if 2 * sum(sizes) <= sum(one.size for one in weights):
            break
    return kept


def _outcome(name: str, parameters: int, validation, weights, dataset: Dataset) -> dict[str, Any]:
    test = accuracy(weights, dataset.x_test, dataset.y_test)
    return {"network": name, "parameters": parameters, "validation": validation, "test": test}


CASES = {"mnist": (run_mnist, MNIST), "fashion_mnist": (run_fashion, FASHION)}


def main() -> None:
    """Runs the cases named on the command line and adds them to the results, seed by seed."""
    parser = argparse.ArgumentParser(description="Lottery tickets.")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    results = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    words = ["python", "benchmarks/lottery.py", "--output", "FILE"]
    for name in arguments.cases:
        run, settings = CASES[name]
        runs = []
        for seed in arguments.seeds:
            runs.append(run(seed))
            print(name, json.dumps(runs[-1]["rows"]), runs[-1]["seconds"], flush=True)
            seeds = ["--seeds", *map(str, arguments.seeds)]
            results[name] = {
                "settings": settings,
                "command": results_files.command(*words, "--cases", name, *seeds),
                "versions": results_files.versions(),
                "machine": results_files.machine(),
                "runs": runs,
            }
            results_files.write(arguments.output, results)


if __name__ == "__main__":
    main()
