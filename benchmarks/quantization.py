"""Accuracy in 8-bit integers: rounded after training, and trained for it, beside float.

Each network is trained in float; then it goes on for a few epochs three times, from the same
weights, on the same batches: in float, by TF-MOT's quantization in the same `fit`, and by that of
Keras alone. What went on in float is rounded afterwards. Every file runs in LiteRT's interpreter on
the whole test set, once; nothing is chosen by it.

    python benchmarks/quantization.py --output benchmarks/results/quantization.json
"""

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from datasets import load_fashion_mnist, load_mnist
from mlperf_tiny import images
from networks import lenet_5
from resnet8 import RECIPE, adapted, lessons
from thesis_snare import medians

import keras_snare
from keras_snare.quantize.interpreter import interpreter_of

layers = keras.layers


@dataclass(frozen=True)
class Case:
    """A network, and how it is trained.

    Args:
        build: Returns the compiled model, trained in float before it goes on, by the seed.
        batches: Returns data, as arguments of `fit`, for the epochs that follow.
        held_out: Returns validation and test data, each inputs and labels.
        epochs: Epochs that follow.
        learning_rate: Of Adam in them, falling along half a cosine.
        loss: Of them.
    """

    build: Callable[[int], keras.Model]
    batches: Callable[[keras.Model], dict[str, Any]]
    held_out: Callable[[], tuple[tuple, tuple]]
    epochs: int
    learning_rate: float
    loss: str = "sparse_categorical_crossentropy"


def trained(network: keras.Model, data: Any, epochs: int) -> keras.Model:
    """Trains a network in float."""
    network.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    network.fit(data.x_train, data.y_train, batch_size=128, epochs=epochs, verbose=0)
    return network


def small_cnn() -> keras.Model:
    """Two convolutions with batch normalisation, 12,954 parameters."""
    parts: list[Any] = [keras.Input((28, 28, 1))]
    for filters in (16, 32):
        parts += [layers.Conv2D(filters, 3, use_bias=False), layers.BatchNormalization()]
        parts += [layers.ReLU(), layers.MaxPooling2D(2)]
    return keras.Sequential([*parts, layers.Flatten(), layers.Dense(10, "softmax")])


def narrow_depthwise() -> keras.Model:
    """Depthwise and pointwise convolutions of 8 to 16 channels, about a thousand parameters."""
    parts: list[Any] = [keras.Input((28, 28, 1)), layers.Conv2D(8, 3, strides=2, use_bias=False)]
    for filters, strides in ((8, 1), (16, 2), (16, 1)):
        parts += [layers.BatchNormalization(), layers.ReLU(6.0)]
        parts += [layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)]
        parts += [layers.BatchNormalization(), layers.ReLU(6.0)]
        parts += [layers.Conv2D(filters, 1, use_bias=False)]
    parts += [layers.BatchNormalization(), layers.ReLU(6.0), layers.GlobalAveragePooling2D()]
    return keras.Sequential([*parts, layers.Dense(10, "softmax")])


def _case(network: Callable, load: Callable, before: int, epochs: int) -> Case:
    def build(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        return trained(network(), load(), before)

    def batches(model: keras.Model) -> dict[str, Any]:
        data = load()
        return {"x": data.x_train, "y": data.y_train, "batch_size": 128}

    def held_out() -> tuple[tuple, tuple]:
        data = load()
        return (data.x_validation, data.y_validation), (data.x_test, data.y_test)

    return Case(build, batches, held_out, epochs, 3e-4)


def _folder() -> Path:
    if "KERAS_SNARE_DATA" not in os.environ:
        raise SystemExit("Set KERAS_SNARE_DATA to the folder that holds models/ and the images.")
    return Path(os.environ["KERAS_SNARE_DATA"])


def _resnet8(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return adapted(_folder(), images(_folder())[0][0])


def _taught(model: keras.Model) -> dict[str, Any]:
    teacher = keras.models.clone_model(model)
    teacher.set_weights(model.get_weights())
    return {"x": lessons(images(_folder())[0][0], teacher)}


CASES = {
    "small CNN, Fashion-MNIST": _case(small_cnn, load_fashion_mnist, 8, 3),
    "LeNet-5, MNIST": _case(lenet_5, load_mnist, 8, 3),
    "narrow depthwise, Fashion-MNIST": _case(narrow_depthwise, load_fashion_mnist, 12, 4),
    "ResNet-8, CIFAR-10 subset": Case(
        _resnet8,
        _taught,
        lambda: images(_folder())[1:],
        3,
        RECIPE["search_rate"],
        "kl_divergence",
    ),
}
ENGINES = {"TF-MOT": "tfmot", "Keras": "keras"}


def go_on(
    case: Case, given: keras.Model, seed: int, callbacks: list[Any], *, still: bool = False
) -> keras.Model:
    """Returns a copy of a network, trained for the epochs that follow.

    With `still`, the epochs pass and its weights stay.
    """
    model = keras.models.clone_model(given)
    model.set_weights(given.get_weights())
    for layer in model.layers if still else ():
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    model.compile(keras.optimizers.Adam(case.learning_rate), case.loss)

    highest = 0.0 if still else case.learning_rate

    def rate(epoch, _):
        return highest * (1 + math.cos(math.pi * epoch / case.epochs)) / 2

    keras.utils.set_random_seed(seed)
    falling = keras.callbacks.LearningRateScheduler(rate)
    model.fit(**case.batches(given), epochs=case.epochs, verbose=0, callbacks=[falling, *callbacks])
    return model


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """Share of the examples whose largest answer is the label."""
    return float(np.mean(answers.argmax(axis=-1) == labels))


def answers_of(path: Path, x: np.ndarray) -> np.ndarray:
    """What a file with one input and one output answers, example by example."""
    interpreter = interpreter_of(path.read_bytes())
    (start,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = start["quantization"]
    given = np.clip(np.round(x / scale + zero), -128, 127).astype(start["dtype"]) if scale else x
    found = []
    for one in given:
        interpreter.set_tensor(start["index"], one[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(end["index"])[0])
    return np.array(found).astype("float32")


def measured(case: Case, path: Path, seconds: float) -> dict[str, Any]:
    """Accuracy and size of a file."""
    (x, y), (x_test, y_test) = case.held_out()
    return {
        "validation": accuracy(answers_of(path, x), y),
        "test": accuracy(answers_of(path, x_test), y_test),
        "bytes": path.stat().st_size,
        "seconds": round(seconds, 1),
    }


def run(case: Case, seed: int, folder: Path) -> dict[str, Any]:
    """Trains a network, and goes on with it in every way."""
    given = case.build(seed)
    examples = case.held_out()[0][0][:256]
    found: dict[str, Any] = {"seed": seed, "parameters": given.count_params(), "rows": {}}
    start = time.perf_counter()
    model = go_on(case, given, seed, [])
    seconds = time.perf_counter() - start
    for name, quantize in (("float", None), ("int8 after training", "int8")):
        path = folder / "after.tflite"
        data = None if quantize is None else examples
        keras_snare.to_litert(model, path, quantize=quantize, representative_data=data)
        found["rows"][name] = measured(case, path, seconds)
    for name, engine in ENGINES.items():
        path = folder / "trained.tflite"
        quantize = keras_snare.QuantizeAwareCallback(
            0, path=path, engine=engine, representative_data=examples
        )
        start = time.perf_counter()
        go_on(case, given, seed, [quantize])
        found["rows"][f"int8 in training, {name}"] = measured(
            case, path, time.perf_counter() - start
        )
    return found


def _medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: medians([one["rows"][name] for one in runs]) for name in runs[0]["rows"]}


def _command(script: str, name: str, seeds: list[int]) -> str:
    words = ["python", script, "--output", "FILE"]
    return results_files.command(*words, "--networks", name, "--seeds", *map(str, seeds))


def entry(script: str, name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what is written of a network."""
    return {
        "epochs": CASES[name].epochs,
        "command": _command(script, name, [one["seed"] for one in runs]),
        "machine": results_files.machine(),
        "versions": results_files.versions(),
        "median": _medians(runs),
        "runs": runs,
    }


def main() -> None:
    """Runs one seed after the other and writes the results after each."""
    parser = argparse.ArgumentParser(description="Accuracy in 8-bit integers.")
    parser.add_argument("--networks", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    path = arguments.output
    results = json.loads(path.read_text()) if path.is_file() else {}
    for name in arguments.networks:
        runs: list[dict[str, Any]] = []
        for seed in arguments.seeds:
            with tempfile.TemporaryDirectory() as folder:
                runs.append(run(CASES[name], seed, Path(folder)))
            told = {
                row: (figures["validation"], figures["bytes"])
                for row, figures in runs[-1]["rows"].items()
            }
            print(name, seed, json.dumps(told), flush=True)
            results[name] = entry("benchmarks/quantization.py", name, runs)
            results_files.write(path, results)


if __name__ == "__main__":
    main()
