"""SNARE on MLPerf Tiny's ResNet-8, taught by the network itself.

The given network saw all of CIFAR-10 in its own training; here are 12,500 images to train on. So
the small network learns what the given one says of flipped and shifted images, not the labels. Two
calls of `fit` search; the second one goes on to fine-tune with a falling learning rate.
Validation data decide everything; the test set is evaluated once before and once after.

    python benchmarks/resnet8.py --output benchmarks/results/resnet8.json

`KERAS_SNARE_DATA` names a folder with `models/pretrainedResnet.h5` and `cifar10_subset.npz`.
"""

import argparse
import json
import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
import tensorflow as tf
from keras import ops
from mlperf_tiny import images, load
from thesis_snare import medians

import keras_snare

EPOCHS = 60
# Layers inside of the residual blocks; the trunk that the blocks add to stays whole. The first
# block has a third of the FLOPs and 6 % of the parameters: it is searched first and cut deeper.
COMMON: dict[str, Any] = {"eps": 0.12, "criterion": "l1_both", "retrain_epochs": 3, "beta": 0.0}
SEARCHES: list[dict[str, Any]] = [
    {**COMMON, "layers": ["conv2d_1"], "first_step": 0.4, "max_trials": 2},
    {**COMMON, "layers": ["conv2d_3", "conv2d_6"], "first_step": 0.32, "max_trials": 2},
]
RECIPE: dict[str, Any] = {
    "optimizer": "Adam",
    "batch_size": 32,
    "search_rate": 3e-4,
    "fine_tuning_rate": 1e-3,
    "temperature": 4.0,
    "shift": 3,
}


def adapted(folder: Path, x: np.ndarray) -> keras.Model:
    """The given network, its batch statistics taken again from the training images as they are.

    An epoch with a learning rate of 0 does it; it counts as one of the epochs.
    """
    model = load(folder, "ResNet-8")
    model.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy")
    model.fit(x, model.predict(x, verbose=0), batch_size=RECIPE["batch_size"], verbose=0)
    return model


def lessons(x: np.ndarray, teacher: keras.Model) -> tf.data.Dataset:
    """Batches of flipped and shifted images with what the teacher says of them."""
    shift = RECIPE["shift"]

    def moved(batch, axis):
        padding = [[shift, shift] if one == axis else [0, 0] for one in range(4)]
        starts = tf.random.uniform([tf.shape(batch)[0], 1], 0, 2 * shift + 1, tf.int32)
        places = starts + tf.range(batch.shape[axis])
        return tf.gather(tf.pad(batch, padding, "SYMMETRIC"), places, axis=axis, batch_dims=1)

    def taught(batch):
        batch = moved(moved(tf.image.random_flip_left_right(batch), 1), 2)
        return batch, teacher(batch, training=False)

    shuffled = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x))
    return shuffled.batch(RECIPE["batch_size"], drop_remainder=True).map(taught).prefetch(4)


def divergence(taught, found):
    """Kullback-Leibler divergence of two softmax outputs, both at the recipe's temperature."""
    temperature = RECIPE["temperature"]
    target, answer = (
        ops.log_softmax(ops.log(output + keras.config.epsilon()) / temperature)
        for output in (taught, found)
    )
    return temperature**2 * ops.sum(ops.exp(target) * (target - answer), axis=-1)


def rates(snare: keras_snare.SnareCallback, epochs: int) -> keras.callbacks.Callback:
    """One learning rate while the search lasts, then half a cosine down to 0."""
    fine_tuning = []

    def rate(epoch, _):
        if snare.report is None or not snare.report.finished:
            return RECIPE["search_rate"]
        fine_tuning.append(epoch)
        done = (epoch - fine_tuning[0]) / (epochs - fine_tuning[0])
        return RECIPE["fine_tuning_rate"] * (1 + math.cos(math.pi * done)) / 2

    return keras.callbacks.LearningRateScheduler(rate)


def compress(model: keras.Model, x: np.ndarray, teacher: keras.Model, **fit) -> dict[str, Any]:
    """One `fit` per search; the last one fine-tunes when its search is over."""
    epochs, reports, accuracies = EPOCHS - 1, [], []
    for settings in SEARCHES:
        last = settings is SEARCHES[-1]
        snare = keras_snare.SnareCallback(
            **settings, early_rejection=False, stop_when_done=not last
        )
        history = model.fit(
            lessons(x, teacher),
            initial_epoch=len(accuracies),
            epochs=epochs,
            callbacks=[snare, rates(snare, epochs)],
            **fit,
        ).history
        accuracies += history["val_accuracy"]
        reports.append(snare.report)
    rows = [asdict(row) for report in reports for row in report.rows]
    search = rows[-1]["epoch"]
    return {
        "epochs": 1 + len(accuracies),
        "epochs_of_statistics": 1,
        "epochs_of_search": search,
        "epochs_of_fine_tuning": len(accuracies) - search,
        "trials": len(rows),
        "accepted": sum(report.accepted for report in reports),
        "finished": all(report.finished for report in reports),
        "validation_after_search": accuracies[search - 1],
        "validation_by_epoch": [round(one, 4) for one in accuracies],
        "rows": rows,
    }


def run(folder: Path, seed: int, verbose: int) -> dict[str, Any]:
    """Compresses the network and measures what came out."""
    (x, _), *held_out = images(folder)
    validation, test = ((one, keras.utils.to_categorical(labels, 10)) for one, labels in held_out)
    keras.utils.set_random_seed(seed)
    start = time.perf_counter()
    given, teacher = load(folder, "ResNet-8"), adapted(folder, x)
    model = keras.models.clone_model(teacher)
    model.set_weights(teacher.get_weights())
    model.compile(keras.optimizers.Adam(RECIPE["search_rate"]), divergence, metrics=["accuracy"])
    before = keras_snare.cost(model)
    batches = tf.data.Dataset.from_tensor_slices(validation).batch(500)
    course = compress(model, x, teacher, validation_data=batches, verbose=verbose)
    seconds = time.perf_counter() - start
    after = keras_snare.cost(model)
    return {
        "seed": seed,
        "params_before": before.params,
        "params": after.params,
        "flops_before": before.flops,
        "flops": after.flops,
        "params_ratio": before.params / after.params,
        "flops_ratio": before.flops / after.flops,
        "flops_gone": 1 - after.flops / before.flops,
        **course,
        "validation_before": _accuracy(given, validation),
        "validation_teacher": _accuracy(teacher, validation),
        "validation": _accuracy(model, validation),
        "test_before": _accuracy(given, test),
        "test": _accuracy(model, test),
        "widths": {group.name: group.width for group in keras_snare.channel_groups(model)},
        "seconds": round(seconds, 1),
    }


def _accuracy(model: keras.Model, data: tuple[np.ndarray, np.ndarray]) -> float:
    x, y = data
    found = model.predict(x, batch_size=500, verbose=0)
    return float(np.mean(found.argmax(axis=1) == y.argmax(axis=1)))


def _command(seeds: list[int]) -> str:
    words = ["python", "benchmarks/resnet8.py", "--output", "FILE", "--seeds", *map(str, seeds)]
    return results_files.command(*words)


def _kept(path: Path, setting: dict[str, Any], seeds: list[int]) -> list[dict[str, Any]]:
    """The runs of other seeds that are in the file, if all else was the same."""
    found = json.loads(path.read_text()) if path.is_file() else {}
    if any(found.get(name) != value for name, value in setting.items()):
        return []
    return [one for one in found["runs"] if one["seed"] not in seeds]


def main() -> None:
    """Runs one seed after the other and writes the results after each."""
    parser = argparse.ArgumentParser(description="SNARE on MLPerf Tiny's ResNet-8.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--verbose", type=int, default=0)
    arguments = parser.parse_args()
    if "KERAS_SNARE_DATA" not in os.environ:
        raise SystemExit("Set KERAS_SNARE_DATA to the folder that holds models/ and the images.")
    setting = {
        "searches": SEARCHES,
        "recipe": RECIPE,
        "epochs_at_most": EPOCHS,
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    runs = _kept(arguments.output, setting, arguments.seeds)
    for seed in arguments.seeds:
        runs.append(run(Path(os.environ["KERAS_SNARE_DATA"]), seed, arguments.verbose))
        command = _command(sorted(one["seed"] for one in runs))
        results = {**setting, "command": command, "median": medians(runs), "runs": runs}
        results_files.write(arguments.output, results)
        # Test figures are for the file: who reads on while settings are chosen shall not see them.
        told = ("seed", "flops_gone", "epochs", "validation_before", "validation", "seconds")
        print({name: runs[-1][name] for name in told}, flush=True)


if __name__ == "__main__":
    main()
