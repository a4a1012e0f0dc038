"""What `LiveStatistics` should collect, worked out again without it."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_snare.criteria import LiveStatistics, TaylorCriterion
from keras_snare.graph import channel_groups

UNITS = ("conv1", "hidden1")


def network(model_class=keras.Model, seed: int = 0):
    """A convolution whose channels `Flatten` scatters, and a dense layer."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4, 4, 1), name="image")
    hidden = layers.Conv2D(4, 3, activation="tanh", name="conv1")(inputs)
    hidden = layers.Flatten(name="flatten")(hidden)
    hidden = layers.Dense(5, activation="tanh", name="hidden1")(hidden)
    outputs = layers.Dense(3, activation="softmax", dtype="float32", name="digit")(hidden)
    return model_class(inputs, outputs, name="network")


def batches(count: int = 6, size: int = 8):
    """Arrays for `count` steps of `fit`, and the same cut into batches."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=(count * size, 4, 4, 1)).astype("float32")
    y = generator.integers(0, 3, count * size).astype("int32")
    parts = [slice(at, at + size) for at in range(0, count * size, size)]
    return (x, y), [(x[part], y[part]) for part in parts]


class Listener(keras.callbacks.Callback):
    """Collects in `fit`, epoch by epoch."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_train_begin(self, logs=None):
        self.live = LiveStatistics(self.model, TaylorCriterion())
        self.live.follow(channel_groups(self.model).prunable())
        self.live.attach()
        self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.live.reset()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.live.statistics())

    def on_train_end(self, logs=None):
        self.live.detach()


def expected_epoch(model, parts) -> dict[str, np.ndarray]:
    """Trains the model eagerly, step by step, and averages |sum of activation times gradient|.

    Steps with sums that are not finite are left out.
    """
    steps = [_step(model, x, y) for x, y in parts]
    steps = [one for one in steps if one is not None]
    return {name: np.mean([np.abs(one[name]) for one in steps], axis=0) for name in UNITS}


def _step(model, x, y):
    optimizer, read = model.optimizer, {}
    weights = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        read["conv1"] = model.get_layer("conv1")(x)
        read["hidden1"] = model.get_layer("hidden1")(model.get_layer("flatten")(read["conv1"]))
        loss = model.compute_loss(y=y, y_pred=model.get_layer("digit")(read["hidden1"]))
        scaled = optimizer.scale_loss(loss)
    gradients = tape.gradient(scaled, {"weights": weights, "read": read})
    optimizer.apply(gradients["weights"], model.trainable_variables)
    scale = float(scaled) / float(loss)
    sums = {
        name: _summed(read[name].numpy(), gradients["read"][name].numpy(), scale) for name in UNITS
    }
    return sums if all(np.isfinite(one).all() for one in sums.values()) else None


def _summed(activations, slopes, scale):
    with np.errstate(invalid="ignore"):
        products = activations.astype("float64") * slopes.astype("float64") / scale
        return products.reshape(-1, products.shape[-1]).sum(axis=0)
