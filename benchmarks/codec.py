"""Bytes of a trained network: packed files beside other ways to store weights.

Each way has one setting, which is tried from fine to coarse; the smallest file with which the
validation accuracy falls by no more than was asked for counts, and its test accuracy is told.
Weights that a way does not code are counted as float32. NNCodec runs in an environment of its own
(`pip install nncodec`), whose Python is named.

    python benchmarks/codec.py --nncodec .nncodec/bin/python --output benchmarks/results/codec.json
"""

import argparse
import gzip
import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import constriction
import keras
import networks
import numpy as np
import results_files
import zstandard
from datasets import Dataset, load_mnist
from mlperf_tiny import images, load
from PIL import Image

import keras_snare
from keras_snare.clustering.k_means import k_means, nearest

LOSSES = (0.001, 0.01)
CALIBRATION = 4000
layers = keras.layers
Coded = tuple[int, list[np.ndarray]]


def blog() -> keras.Model:
    """Returns the network whose weights were stored as JPEG pictures."""
    hidden = layers.Dense(512, "relu", name="hidden")
    out = layers.Dense(10, "softmax", name="out")
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), hidden, out])


def trained(build: Callable[[], keras.Model], epochs: int) -> tuple[keras.Model, Dataset]:
    """Returns a network trained on MNIST, the learning rate falling along half a cosine."""
    data = load_mnist()
    keras.utils.set_random_seed(0)
    model = build()
    steps = epochs * -(-len(data.x_train) // 128)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(data.x_train, data.y_train, batch_size=128, epochs=epochs, verbose=0)
    return model, data


def resnet_8() -> tuple[keras.Model, Dataset]:
    """Returns MLPerf Tiny's ResNet-8 as its authors trained it, and a part of CIFAR-10."""
    if "KERAS_SNARE_DATA" not in os.environ:
        raise SystemExit("ResNet-8 and its images come from the folder that KERAS_SNARE_DATA says.")
    folder = Path(os.environ["KERAS_SNARE_DATA"])
    train, validation, test = images(folder)
    data = Dataset("CIFAR-10", "cifar10_subset.npz", *train, *validation, *test)
    model = load(folder, "ResNet-8")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, data


NETWORKS = {
    "784-512-10": lambda: trained(blog, 8),
    "LeNet-5-Caffe": lambda: trained(networks.lenet_5_caffe, 6),
    "ResNet-8": resnet_8,
}


def uniform(weights: list[np.ndarray], levels: int) -> Coded:
    """Each tensor in equal steps up to its largest number, then zstd at its strongest."""
    size, found = 0, []
    for one in weights:
        # Biases and statistics are few, and all of them count.
        step = max(float(np.abs(one).max()), 1e-12) / (levels if one.ndim > 1 else 127)
        whole = np.rint(one / step).astype(np.int8)
        size += 4 + len(zstandard.ZstdCompressor(level=22).compress(whole.tobytes()))
        found.append(whole.astype("float32") * np.float32(step))
    return size, found


def clustered(weights: list[np.ndarray], clusters: int) -> Coded:
    """Deep Compression without pruning: k-means for each kernel, then Huffman's code."""
    size, found = 0, []
    for one in weights:
        if one.ndim < 2:
            size, found = size + one.nbytes, [*found, one]
            continue
        values = k_means(one.reshape(-1), clusters).astype("float32")
        places = nearest(one.reshape(-1), values)
        counts = np.bincount(places, minlength=len(values)).astype("float32") + 1e-3
        book = constriction.symbol.huffman.EncoderHuffmanTree(counts)
        coder = constriction.symbol.QueueEncoder()
        for place in places.tolist():
            coder.encode_symbol(place, book)
        words, _ = coder.get_compressed()
        size += len(words) * 4 + values.nbytes + len(values)
        found.append(values[places].reshape(one.shape))
    return size, found


def pictures(weights: list[np.ndarray], quality: int, columns: bool) -> Coded:
    """The kernel of the first dense layer as JPEG: a picture for each column, or one of all."""
    at = next(number for number, one in enumerate(weights) if one.shape[0] == 784)
    kernel = weights[at]
    low, high = float(kernel.min()), float(kernel.max())
    grey = np.rint((kernel - low) / (high - low) * 255).astype(np.uint8)
    parts = [grey[:, one].reshape(28, 28) for one in range(grey.shape[1])]
    if not columns:
        rows = [np.concatenate(parts[start : start + 32], axis=1) for start in range(0, 512, 32)]
        parts = [np.concatenate(rows, axis=0)]
    size, back = 8, []
    for part in parts:
        stream = io.BytesIO()
        Image.fromarray(part).save(stream, "JPEG", quality=quality)
        size += stream.tell()
        back.append(np.asarray(Image.open(stream)))
    if not columns:
        cells = back[0].reshape(16, 28, 32, 28).transpose(0, 2, 1, 3).reshape(512, 28, 28)
        back = list(cells)
    found = np.stack([one.reshape(-1) for one in back], axis=1).astype("float32")
    rest = [one for number, one in enumerate(weights) if number != at]
    changed = list(weights)
    changed[at] = found / 255 * (high - low) + low
    return size + sum(one.nbytes for one in rest), changed


def nncodec(weights: list[np.ndarray], parameter: int, python: str, *ways: str) -> Coded:
    """MPEG's neural network coding: dependent quantization, and its arithmetic coder."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "weights.npz", Path(folder) / "decoded.npz"
        np.savez(source, **{f"layer{at}.weight": one for at, one in enumerate(weights)})
        script = Path(__file__).with_name("codec_nncodec.py")
        command = [python, str(script), str(source), str(parameter), str(target), *ways]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        size = next(int(line.split()[1]) for line in run.stdout.splitlines() if "bytes" in line)
        with np.load(target) as found:
            return size, [found[f"layer{at}.weight"] for at in range(len(weights))]


def smallest(ways: Iterable[int], code: Callable, model: Any, data: Any) -> dict[str, Any]:
    """Tries settings from fine to coarse, and keeps the smallest file for each loss."""
    before = model.get_weights()
    base = accuracy(model, data.x_validation, data.y_validation)
    best: dict[str, Any] = {}
    try:
        for setting in ways:
            size, found = code(before, setting)
            model.set_weights(found)
            value = accuracy(model, data.x_validation, data.y_validation)
            for loss in LOSSES:
                if base - value <= loss and size < best.get(str(loss), {"bytes": 1e12})["bytes"]:
                    row = {"bytes": size, "setting": setting, "validation": value}
                    best[str(loss)] = row | {"weights": found}
            if base - value > 3 * max(LOSSES):
                break
        for row in best.values():
            model.set_weights(row.pop("weights"))
            row["test"] = accuracy(model, data.x_test, data.y_test)
    finally:
        model.set_weights(before)
    return best


def accuracy(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Returns the share of examples that a model gets right."""
    return float(model.evaluate(x, y, batch_size=500, verbose=0)[1])


def ours(model: Any, data: Any, folder: Path) -> dict[str, Any]:
    """Packs for each loss, and bit for bit."""
    found = {}
    some = data.x_train[:CALIBRATION], data.y_train[:CALIBRATION]
    held = data.x_validation, data.y_validation
    size = 4 * model.count_params()
    for loss in (*LOSSES, None):
        lossy = {} if loss is None else {"max_loss": loss, "data": some, "validation_data": held}
        start = time.perf_counter()
        report = keras_snare.pack(model, folder / "model.snare", **lossy, batch_size=250)
        packing = time.perf_counter() - start
        start = time.perf_counter()
        again = keras_snare.unpack(folder / "model.snare")
        unpacking = time.perf_counter() - start
        again.compile(loss=model.loss, metrics=["accuracy"])
        found[str(loss)] = {
            "bytes": report.bytes,
            "header": report.header,
            "configuration": report.configuration,
            "weights": report.weights,
            "validation": accuracy(again, *held),
            "test": accuracy(again, data.x_test, data.y_test),
            "pack_seconds": round(packing, 2),
            "pack_megabytes_per_second": round(size / packing / 1e6, 3),
            "unpack_megabytes_per_second": round(size / unpacking / 1e6, 3),
        }
    return found


def measured(name: str, arguments: Any) -> dict[str, Any]:
    """Trains a network, and stores it in every way."""
    model, data = NETWORKS[name]()
    weights = model.get_weights()
    raw = b"".join(one.tobytes() for one in weights)
    found: dict[str, Any] = {
        "data": data.source,
        "validation": accuracy(model, data.x_validation, data.y_validation),
        "test": accuracy(model, data.x_test, data.y_test),
        "float32": len(raw),
        "gzip": len(gzip.compress(raw, 9)),
    }
    with tempfile.TemporaryDirectory() as folder:
        found["keras_snare"] = ours(model, data, Path(folder))
    if arguments.only_ours:
        return found
    steps = (127, 90, 64, 45, 32, 24, 20, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2)
    found["int8 + zstd"] = smallest([127], uniform, model, data)
    found["uniform + zstd"] = smallest(steps, uniform, model, data)
    few = (256, 128, 64, 32, 16, 12, 8, 6, 5, 4, 3)
    found["k-means + Huffman"] = smallest(few, clustered, model, data)
    if name == "784-512-10":
        for way in (True, False):
            label = f"JPEG, {'a column each' if way else 'one picture'}"
            ways = (95, 85, 75, 60, 50, 40, 30, 25, 20, 15, 10, 5)
            found[label] = smallest(
                ways, lambda some, at, way=way: pictures(some, at, way), model, data
            )
    if arguments.nncodec:
        for label, ways in {"NNCodec": (), "NNCodec, opt_qp": ("opt_qp",)}.items():
            found[label] = smallest(
                range(-44, -4, 2),
                lambda some, at, ways=ways: nncodec(some, at, arguments.nncodec, *ways),
                model,
                data,
            )
    return found


def main() -> None:
    """Measures network by network, and writes the results after each."""
    parser = argparse.ArgumentParser(description="Bytes of trained networks.")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--only-ours", action="store_true", help="keep the other ways' figures")
    parser.add_argument("--nncodec", help="Python of an environment that has NNCodec.")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    words = ["python", "benchmarks/codec.py", "--nncodec", "PYTHON", "--output", "FILE"]
    results: dict[str, Any] = {
        "command": results_files.command(*words),
        "machine": results_files.machine(),
        "versions": results_files.versions(),
        "networks": {},
    }
    if arguments.output.is_file():
        results["networks"] = json.loads(arguments.output.read_text())["networks"]
    for name in arguments.networks:
        found, before = measured(name, arguments), results["networks"].get(name, {})
        same = all(before.get(key) == found[key] for key in ("gzip", "validation", "test"))
        if arguments.only_ours and not same:
            raise SystemExit(f"{name}: the other ways stored another network. Measure all.")
        results["networks"][name] = {**before, **found} if arguments.only_ours else found
        results_files.write(arguments.output, results)


if __name__ == "__main__":
    main()
