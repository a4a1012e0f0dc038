"""Networks in factors: accuracy and latency by share of the parameters, trained on and not.

Every way of `factorize` at every budget; that of `FINE_TUNED` is then trained for a few epochs. The
ways with data see examples of the training part. LeNet-5 is trained here, or found where another
benchmark left it, and `RankReduceCallback` searches its ranks as well; ResNet-8 is MLPerf Tiny's,
which learns from what it said itself. The dense layers of VGG16, for ten classes, are trained on
what ResNet-8 makes of these images, brought to 7 by 7 by 512 by a random layer. The test set is
evaluated once per network, and decides nothing.

    python benchmarks/factorize.py --base DIR --output benchmarks/results/factorize.json

`KERAS_SNARE_DATA` names a folder with `mnist.npz`, `models/pretrainedResnet.h5` and
`cifar10_subset.npz`.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from base_training import BASE_NETWORKS, train_base
from compensation import Part, accuracy
from mlperf_tiny import images, load
from resnet8 import lessons
from timing import clocked, timed

import keras_snare
from keras_snare.quantize.interpreter import unallocated

SHARES = (0.5, 0.25, 0.1)
WAYS: dict[str, dict[str, Any]] = {
    "svd": {"method": "svd"},
    "tucker": {"method": "tucker"},
    "spatial": {"method": "spatial"},
    "auto": {"method": "auto"},
    "svd, data": {"method": "svd", "data": 512},
    "auto, data": {"method": "auto", "data": 512},
}
# Of VGG16's layers: features of an image are many.
EXAMPLES, BATCH_SIZE = 5000, 128
SEARCH: dict[str, Any] = {
    "eps": 0.005,
    "retrain_epochs": 2,
    "max_trials": 12,
    "early_rejection": False,
}
SEARCH_EPOCHS = 20
ROUNDS, RUNS = 30, 20


class LeNet5:
    """LeNet-5 on MNIST; the seed is that of its training too."""

    epochs = 3
    shares = SHARES
    ways = tuple(WAYS)
    fine_tuned = "auto, data"

    def __init__(self, directory: Path):
        self.directory = directory
        data = self.data = BASE_NETWORKS["lenet_5"].load()
        self.train: Part = (data.x_train, data.y_train)
        self.validation: Part = (data.x_validation, data.y_validation)
        self.test: Part = (data.x_test, data.y_test)

    def model(self, seed: int) -> keras.Model:
        """The trained network."""
        return keras.models.load_model(train_base("lenet_5", seed, self.directory))

    def fine_tune(self, model: keras.Model, whole: keras.Model) -> None:
        """Trains it as its base was trained, at a third of the learning rate."""
        model.optimizer.learning_rate = 3e-4
        model.fit(*self.train, batch_size=128, epochs=self.epochs, verbose=0)


class ResNet8:
    """MLPerf Tiny's ResNet-8 on the subset of CIFAR-10; the seed draws the examples only."""

    epochs = 3
    shares = SHARES[:2]
    ways = tuple(WAYS)
    fine_tuned = "auto, data"

    def __init__(self, folder: Path):
        self.folder = folder
        self.train, self.validation, self.test = images(folder)

    def model(self, _seed: int) -> keras.Model:
        """The given network."""
        model = load(self.folder, "ResNet-8")
        model.compile("adam", "kl_divergence")
        return model

    def fine_tune(self, model: keras.Model, whole: keras.Model) -> None:
        """Trains it on what the whole network says of flipped and shifted images."""
        model.optimizer.learning_rate = 3e-4
        model.fit(lessons(self.train[0], whole), epochs=self.epochs, verbose=0)


class VGG16Dense:
    """The dense layers of VGG16, 25,088 - 4,096 - 4,096, for the ten classes of CIFAR-10."""

    epochs = 2
    shares = SHARES[1:]
    ways = ("svd", "svd, data")
    fine_tuned = "svd, data"

    def __init__(self, folder: Path):
        features = seen_by_resnet(load(folder, "ResNet-8"))
        self.train, self.validation, self.test = (
            (features.predict(x[:EXAMPLES], batch_size=250, verbose=0), y[:EXAMPLES])
            for x, y in images(folder)
        )
        self.weights: list[np.ndarray] | None = None

    def model(self, seed: int) -> keras.Model:
        """The layers, trained for the epochs that factors get afterwards."""
        keras.utils.set_random_seed(seed)
        hidden = [keras.layers.Dense(4096, "relu") for _ in range(2)]
        out = keras.layers.Dense(10, "softmax")
        model = keras.Sequential([keras.Input((25_088,)), *hidden, out])
        # XLA is off: on a processor it multiplies matrices more slowly.
        model.compile(
            keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", jit_compile=False
        )
        if self.weights is None:
            model.fit(*self.train, batch_size=BATCH_SIZE, epochs=self.epochs, verbose=0)
            self.weights = model.get_weights()
        model.set_weights(self.weights)
        return model

    def fine_tune(self, model: keras.Model, whole: keras.Model) -> None:
        """Trains it as it was trained."""
        model.optimizer.learning_rate = 1e-4
        model.fit(*self.train, batch_size=BATCH_SIZE, epochs=self.epochs, verbose=0)


def seen_by_resnet(resnet: keras.Model) -> keras.Model:
    """What ResNet-8's last convolution makes of an image, as 25,088 features."""
    pooled = next(one for one in resnet.layers if isinstance(one, keras.layers.AveragePooling2D))
    spread = keras.initializers.HeNormal(seed=0)
    value = keras.layers.Cropping2D(((0, 1), (0, 1)))(pooled.input)
    last = keras.layers.Conv2D(512, 1, activation="relu", kernel_initializer=spread, name="spread")
    value = last(value)
    return keras.Model(resnet.input, keras.layers.Flatten()(value))


def figures(model: keras.Model, network: Any) -> dict[str, Any]:
    """What is told of a network."""
    cost = keras_snare.cost(model)
    return {
        "params": cost.params,
        "flops": cost.flops,
        "validation": accuracy(model, network.validation),
        "test": accuracy(model, network.test),
    }


def factorized(network: Any, seed: int, share: float, way: str) -> tuple[Any, float]:
    """A network in factors, and the seconds that it took."""
    settings = dict(WAYS[way])
    if "data" in settings:
        order = np.random.default_rng(seed).permutation(len(network.train[1]))
        settings["data"] = (network.train[0][order[: settings["data"]]],)
    model = network.model(seed)
    return timed(lambda: keras_snare.factorize(model, budget=share, **settings))


def run(network: Any, seeds: list[int], save: Callable[[dict], None]) -> dict[str, Any]:
    """One network whole, and in factors in every way."""
    found: dict[str, Any] = {"epochs": network.epochs, "whole": [], "shares": {}}
    files: dict[str, bytes] = {}
    for seed in seeds:
        whole = network.model(seed)
        found["whole"].append({"seed": seed, **figures(whole, network)})
        files.setdefault("whole", litert(whole))
        for share in network.shares:
            ways = found["shares"].setdefault(str(share), {})
            for way in network.ways:
                model, seconds = factorized(network, seed, share, way)
                figure = {"seed": seed, "seconds": round(seconds, 2), **figures(model, network)}
                if way == network.fine_tuned:
                    files.setdefault(str(share), litert(model))
                    figure["rows"] = json.loads(keras_snare.factorize_report(model).to_json())[
                        "rows"
                    ]
                    network.fine_tune(model, whole)
                    figure["tuned"] = figures(model, network)
                ways.setdefault(way, []).append(figure)
                print(share, way, {k: v for k, v in figure.items() if k != "rows"}, flush=True)
            save(found)
    found["latency_ms"] = latencies(files)
    save(found)
    return found


def searched(network: Any, seed: int) -> dict[str, Any]:
    """LeNet-5 with the ranks that `RankReduceCallback` finds, then trained on as the others."""
    model = keras_snare.factorize(network.model(seed), 0.99, layers=r"conv2|dense.")
    reduce = keras_snare.RankReduceCallback(**SEARCH)
    (x, y), start = network.train, time.perf_counter()
    history = model.fit(
        x,
        y,
        batch_size=128,
        epochs=SEARCH_EPOCHS,
        validation_data=network.validation,
        callbacks=[reduce],
        verbose=0,
    )
    seconds, report = time.perf_counter() - start, reduce.report
    assert report is not None
    return {
        "seed": seed,
        "epochs": len(history.history["loss"]),
        "seconds": round(seconds, 1),
        "trials": len(report.rows),
        "ranks": {one.name: int(one.kernel.shape[-1]) for one in model.layers if "_in" in one.name},
        **figures(model, network),
    }


def litert(model: keras.Model) -> bytes:
    """The model as a .tflite file in float32."""
    with tempfile.TemporaryDirectory() as place:
        keras_snare.to_litert(model, f"{place}/model.tflite")
        return Path(place, "model.tflite").read_bytes()


def latencies(files: dict[str, bytes], runs: int = RUNS) -> dict[str, float]:
    """Milliseconds for one example on one thread, the files in turn: the median of all rounds."""
    interpreters = {}
    for name, content in files.items():
        interpreters[name] = unallocated(content, 1)
        interpreters[name].allocate_tensors()
    times: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(ROUNDS):
        for name, one in interpreters.items():
            seconds = clocked(lambda one=one: [one.invoke() for _ in range(runs)])[1]
            times[name].append(1000 * seconds / runs)
    return {name: float(np.median(found)) for name, found in times.items()}


def command(seeds: list[int]) -> str:
    """The command that the results come from."""
    words = ["python", "benchmarks/factorize.py", "--base", "DIR", "--output", "FILE"]
    return results_files.command(*words, "--seeds", *map(str, seeds))


def main() -> None:
    """Measures network by network, and writes the results after each step."""
    parser = argparse.ArgumentParser(description="Networks in factors.")
    parser.add_argument("--base", type=Path, required=True, help="folder of trained base networks")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    parts = ["LeNet-5", "search", "ResNet-8", "VGG16"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()
    path, seeds, parts = arguments.output, arguments.seeds, arguments.parts
    results = json.loads(path.read_text()) if path.is_file() else {"networks": {}}
    results |= {
        "command": command(seeds),
        "search_settings": {**SEARCH, "epochs": SEARCH_EPOCHS},
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }

    def save(name: str, found: Any) -> None:
        results["networks"][name] = found
        results_files.write(path, results)

    folder = Path(os.environ["KERAS_SNARE_DATA"])
    if "LeNet-5" in parts:
        run(LeNet5(arguments.base), seeds, lambda found: save("LeNet-5", found))
    if "search" in parts:
        save("search", [searched(LeNet5(arguments.base), seed) for seed in seeds[:1]])
    if "ResNet-8" in parts:
        run(ResNet8(folder), seeds[:1], lambda found: save("ResNet-8", found))
    if "VGG16" in parts:
        run(VGG16Dense(folder), seeds[:1], lambda found: save("VGG16", found))


if __name__ == "__main__":
    main()
