"""Networks trained for few bytes: MNIST, 784-512-10 of the blog post and LeNet-5 of Caffe.

A network is trained from scratch with `RateCallback`, with Adam whose learning rate falls along
half a cosine, at several prices of a kilobyte, to the weights of the last epoch. Images are as
they are, or moved by up to a pixel, another way in every epoch. Learning rates and prices were set
in shorter runs, by bytes and validation accuracy. The test set is told once for each run; `--pilot`
leaves it alone.

Bytes are those of the file that `pack` writes, and of it, those of the coded weights.

    python benchmarks/rate.py --output benchmarks/results/rate.json
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import networks
import results_files
from datasets import load_mnist
from moved_images import MovedImages

from keras_snare import RateCallback, pack, unpack

BATCH_SIZE = 256
layers = keras.layers


@dataclass(frozen=True)
class Network:
    """A network, and how it is trained.

    Args:
        make: returns it, without its weights being trained.
        rates: the prices of a kilobyte.
        epochs: how long it is trained.
        learning_rate: of Adam in the beginning.
        moved: whether images are moved.
    """

    make: Callable[[], keras.Model]
    rates: tuple[float, ...]
    epochs: int
    learning_rate: float
    moved: bool = False


def blog_network() -> keras.Model:
    """Returns 784-512-10."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(512, "relu"),
            layers.Dense(10, "softmax"),
        ]
    )


NETWORKS = {
    "784-512-10": Network(blog_network, (0.015, 0.035, 0.12), 60, 1.5e-2),
    "784-512-10, moved": Network(blog_network, (0.02, 0.035), 60, 1.5e-2, moved=True),
    "LeNet-5-Caffe, moved": Network(networks.lenet_5_caffe, (0.055, 0.062), 80, 8e-3, moved=True),
}


def compiled(network: Network, learning_rate: float, epochs: int, data: Any) -> keras.Model:
    """Returns a network with Adam, whose learning rate falls along half a cosine."""
    model = network.make()
    steps = epochs * -(-len(data.x_train) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    # XLA is off: on a processor it multiplies matrices more slowly.
    model.compile(
        keras.optimizers.Adam(schedule),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def trained(name: str, rate: float, data: Any, seed: int, arguments: Any) -> dict[str, Any]:
    """Trains a network, and tells how good it is and what it takes up."""
    keras.utils.clear_session()
    network = NETWORKS[name]
    keras.utils.set_random_seed(seed)
    epochs = arguments.epochs or network.epochs
    model = compiled(network, arguments.learning_rate or network.learning_rate, epochs, data)
    callback = RateCallback(rate)
    start = time.perf_counter()
    examples: Any = {"x": data.x_train, "y": data.y_train, "batch_size": BATCH_SIZE}
    if network.moved:
        examples = {"x": MovedImages(data.x_train, data.y_train, BATCH_SIZE, seed)}
    history = model.fit(
        **examples,
        validation_data=(data.x_validation, data.y_validation),
        validation_batch_size=500,
        epochs=epochs,
        verbose=0,
        callbacks=[callback],
    ).history
    seconds = time.perf_counter() - start
    return {
        "rate": rate,
        "seed": seed,
        "epochs": epochs,
        "float_bytes": 4 * model.count_params(),
        "estimated_bytes": round(history["snare_bytes"][-1]),
        "learning_rate": arguments.learning_rate or network.learning_rate,
        **stored(model, callback.codings, data, arguments.pilot),
        "validation_of_fit": history["val_accuracy"][-1],
        "seconds": round(seconds, 1),
    }


def stored(model: keras.Model, codings: Any, data: Any, pilot: bool) -> dict[str, Any]:
    """Writes a file, and tells its size and how good the network is that comes out of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.snare"
        report, found = pack(model, path, codings=codings), unpack(path)
    found.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    parts = {"validation": (data.x_validation, data.y_validation)}
    if not pilot:
        parts["test"] = data.x_test, data.y_test
    figures = {
        part: found.evaluate(*given, batch_size=500, verbose=0)[1] for part, given in parts.items()
    }
    return {
        "file_bytes": report.bytes,
        "header_bytes": report.header,
        "configuration_bytes": report.configuration,
        "weight_bytes": report.weights,
        "variables": {one.path: [one.form, one.nonzeros, one.bytes] for one in report.variables},
        **figures,
    }


def main() -> None:
    """Measures network by network, and writes the results after each run; known ones stay."""
    parser = argparse.ArgumentParser(description="Networks trained for few bytes.")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--rates", nargs="+", type=float)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--pilot", action="store_true", help="leave the test set alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    path, data = arguments.output, load_mnist()
    results = json.loads(path.read_text()) if path.is_file() else {}
    words = ["python", "benchmarks/rate.py", "--output", "FILE"]
    results |= {
        "command": results_files.command(*words),
        "data": data.source,
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    for name in arguments.networks:
        for rate in arguments.rates or NETWORKS[name].rates:
            for seed in arguments.seeds:
                runs = results.setdefault("networks", {}).setdefault(name, [])
                if any((one["rate"], one["seed"]) == (rate, seed) for one in runs):
                    continue
                found = trained(name, rate, data, seed, arguments)
                runs.append(found)
                results_files.write(path, results)
                print(name, found, flush=True)


if __name__ == "__main__":
    main()
