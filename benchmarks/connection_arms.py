"""One side of `connection_pruning.py`: a Keras, and the two networks trained and pruned in it.

Importing TF-MOT changes which Keras a process has, so each side runs in a process of its own. It
reads tasks from standard input, a line each, and answers in lines on standard output. Networks,
initial weights and batches are the same on both sides, number by number.
"""

import json
import sys
import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import tensorflow as tf
from datasets import Dataset, load_fashion_mnist, load_mnist

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
FREQUENCY = 100  # TF-MOT's default, in steps.
NETWORKS = {
    "CNN": "conv 16@3x3, pool, conv 32@3x3, pool, dense 128, dense 10; Fashion-MNIST",
    "MLP": "dense 1,024, dense 1,024, dense 10; MNIST",
}

BY_STEP = {"per": "step", "frequency": FREQUENCY}
# Arguments of `MagnitudePruneCallback`.
ARMS: dict[str, dict[str, Any]] = {
    "epoch": {},
    "layer": BY_STEP,
    "global": {**BY_STEP, "scope": "global"},
    "erk": {**BY_STEP, "scope": "erk"},
    "splicing": {**BY_STEP, "regrowth": "splicing"},
    "rigl": {**BY_STEP, "regrowth": "rigl"},
}


def load(network: str) -> Dataset:
    """Returns the data of a network."""
    return load_mnist(flat=True) if network == "MLP" else load_fashion_mnist()


class Side(ABC):
    """A Keras, and how connections are pruned in it.

    Args:
        module: `keras` or `tf_keras`.
        jit_compile: whether training steps are compiled by XLA.
    """

    def __init__(self, module: Any, jit_compile: bool):
        self.keras = module
        self.jit_compile = jit_compile

    @abstractmethod
    def prepared(self, model, arm: str, sparsity: float, end: int, steps: int) -> tuple:
        """Returns the model to train and the callbacks that prune it.

        Args:
            model: uncompiled.
            arm: what is done, `"plain"` for nothing.
            sparsity: float, at the end, reached by the cubic schedule from 0.
            end: int, epoch at whose beginning it is reached.
            steps: int, steps of an epoch.
        """

    def stripped(self, model):
        """Returns the model as it is used after training."""
        return model

    def model(self, network: str, seed: int):
        """Returns an uncompiled network with weights by the seed."""
        layers = self.keras.layers
        if network == "MLP":
            parts = [self.keras.Input((784,)), *(layers.Dense(1024, "relu") for _ in range(2))]
        else:
            parts = [self.keras.Input((28, 28, 1))]
            for filters in (16, 32):
                parts += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D(2)]
            parts += [layers.Flatten(), layers.Dense(128, "relu")]
        model = self.keras.Sequential([*parts, layers.Dense(10, "softmax")])
        random = np.random.default_rng(seed)
        model.set_weights([_initial(random, weight.shape) for weight in model.get_weights()])
        return model

    def fit(self, model, data: Dataset, epochs: int, seed: int, callbacks: list) -> None:
        """Trains on batches whose order is the same on both sides."""
        model.compile(
            self.keras.optimizers.Adam(LEARNING_RATE),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=self.jit_compile,
        )
        steps = steps_per_epoch(data)
        batches = _batches(data, epochs * steps, seed)
        model.fit(
            batches,
            steps_per_epoch=steps,
            epochs=epochs,
            shuffle=False,
            callbacks=callbacks,
            verbose=0,
        )


class KerasSide(Side):
    """Keras 3 with `MagnitudePruneCallback`."""

    def __init__(self, jit_compile: bool = False):
        import keras

        super().__init__(keras, jit_compile)

    def prepared(self, model, arm: str, sparsity: float, end: int, steps: int) -> tuple:
        import keras_snare

        if arm == "plain":
            return model, []
        prune = keras_snare.MagnitudePruneCallback(sparsity, end_epoch=end, **ARMS[arm])
        return model, [prune]


class TfKerasSide(Side):
    """tf_keras with TF-MOT's `prune_low_magnitude`."""

    def __init__(self):
        import tf_keras

        super().__init__(tf_keras, jit_compile=False)

    def prepared(self, model, arm: str, sparsity: float, end: int, steps: int) -> tuple:
        from tensorflow_model_optimization.sparsity import keras as sparsity_keras

        if arm == "plain":
            return model, []
        schedule = sparsity_keras.PolynomialDecay(0.0, sparsity, 0, end * steps)
        model = sparsity_keras.prune_low_magnitude(model, schedule)
        return model, [sparsity_keras.UpdatePruningStep()]

    def stripped(self, model):
        from tensorflow_model_optimization.sparsity import keras as sparsity_keras

        return sparsity_keras.strip_pruning(model)


def steps_per_epoch(data: Dataset) -> int:
    """Returns the whole batches of an epoch."""
    return len(data.x_train) // BATCH_SIZE


def _initial(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Glorot's uniform for kernels, zeros for biases."""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    limit = np.sqrt(6 / (np.prod(shape[:-2]) * sum(shape[-2:])))
    return random.uniform(-limit, limit, shape).astype(np.float32)


def _batches(data: Dataset, count: int, seed: int) -> tf.data.Dataset:
    random = np.random.default_rng([seed, 1])
    size = steps_per_epoch(data) * BATCH_SIZE
    epochs = -(-count // steps_per_epoch(data))
    orders = [random.permutation(len(data.x_train))[:size] for _ in range(epochs)]
    places = np.concatenate(orders).reshape(-1, BATCH_SIZE)[:count]
    x, y = tf.constant(data.x_train), tf.constant(data.y_train)
    dataset = tf.data.Dataset.from_tensor_slices(places)
    return dataset.map(lambda at: (tf.gather(x, at), tf.gather(y, at))).prefetch(2)


def _turns(side: Side) -> Any:
    """A callback that waits for a line before every epoch, and tells what the last one took.

    An epoch lasts from one beginning to the next, so that everything in it counts.
    """

    class Turns(side.keras.callbacks.Callback):
        started: tuple[float, float] | None = None

        def on_epoch_begin(self, epoch, logs=None):
            now = time.process_time(), time.perf_counter()
            if self.started is not None:
                cpu, wall = (end - start for start, end in zip(self.started, now, strict=True))
                _say({"cpu": cpu, "wall": wall})
            sys.stdin.readline()
            self.started = time.process_time(), time.perf_counter()

    return Turns()


def time_epochs(side: Side, network: str, arm: str, epochs: int) -> None:
    """Trains epoch by epoch, each when a line is read, and says how long each took.

    The first one, which compiles, is among them; the sparsity grows in all of them, to 90 %.
    """
    data = load(network)
    model, callbacks = side.prepared(
        side.model(network, 0), arm, 0.9, epochs, steps_per_epoch(data)
    )
    side.fit(model, data, epochs + 1, 0, [_turns(side), *callbacks])


def prune_and_test(
    side: Side, network: str, arm: str, sparsity: float, epochs: int, end: int, seed: int
) -> None:
    """Trains and prunes, and says what came out: nothing is chosen, so the test set serves once."""
    data = load(network)
    side.keras.backend.clear_session()
    side.keras.utils.set_random_seed(seed)
    model, callbacks = side.prepared(
        side.model(network, seed), arm, sparsity, end, steps_per_epoch(data)
    )
    side.fit(model, data, epochs, seed, callbacks)
    model = side.stripped(model)
    kernels = [weight for weight in model.get_weights() if weight.ndim > 1]
    kept = [float(np.count_nonzero(one) / one.size) for one in kernels]
    sizes = [one.size for one in kernels]
    _say(
        {
            "sparsity": 1 - float(np.average(kept, weights=sizes)),
            "kept": kept,
            "validation": _accuracy(model, data.x_validation, data.y_validation),
            "test": _accuracy(model, data.x_test, data.y_test),
        }
    )


def _accuracy(model, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(model.predict(x, batch_size=500, verbose=0).argmax(axis=1) == y))


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


TASKS = {"time": time_epochs, "test": prune_and_test}
SIDES = {"keras": KerasSide, "tf_keras": TfKerasSide}


def main() -> None:
    """Does task after task: a line of JSON names the task, the side and their arguments."""
    side = None
    for line in sys.stdin:
        task = json.loads(line)
        name, settings = task.pop("task"), task.pop("side")
        side = side or SIDES[settings.pop("name")](**settings)
        TASKS[name](side, **task)


if __name__ == "__main__":
    main()
