"""Data, tiny models and callbacks for the tests that score or train."""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits


@functools.cache
def digits(train: int = 400, validation: int = 300):
    """Handwritten digits as `(x, y), (x_val, y_val)`, images of shape (8, 8, 1)."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = (data.images[order, ..., np.newaxis] / 16).astype("float32")
    y = data.target[order].astype("int32")
    return (x[:train], y[:train]), (x[train : train + validation], y[train : train + validation])


@functools.cache
def flat_digits(train: int = 400, validation: int = 300):
    """The same with 64 features per image."""
    (x, y), (x_val, y_val) = digits(train, validation)
    return (x.reshape(-1, 64), y), (x_val.reshape(-1, 64), y_val)


def random_data(model, count: int = 12, seed: int = 0):
    """Inputs for a model with one input, and labels for its classes."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(count, *model.input_shape[1:])).astype("float32")
    return x, generator.integers(0, model.output_shape[-1], count).astype("int32")


def compiled(model, optimizer="adam", **options):
    """Compiles a classifier. XLA is off, since it only makes tiny models slower to build."""
    options = {"metrics": ["accuracy"], "jit_compile": False, **options}
    model.compile(optimizer, "sparse_categorical_crossentropy", **options)
    return model


def dense_model(inputs: int = 4, units=(6, 5), classes: int = 3):
    """Dense layers `hidden1`, `hidden2`, ... and `digit`."""
    hidden = [
        layers.Dense(count, activation="relu", name=f"hidden{at}")
        for at, count in enumerate(units, start=1)
    ]
    output = layers.Dense(classes, activation="softmax", name="digit")
    return keras.Sequential([keras.Input((inputs,)), *hidden, output])


def conv_model(size: int = 6, channels: int = 2, classes: int = 3):
    """Convolution, normalisation, pooling, convolution, global pooling."""
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            layers.Conv2D(5, 3, padding="same", activation="tanh", name="conv1"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Conv2D(4, 3, padding="same", activation="tanh", name="conv2"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(classes, activation="softmax", name="digit"),
        ]
    )


def flatten_model(size: int = 4, channels: int = 1, classes: int = 3):
    """A convolution whose channels lie scattered along what the dense layer reads."""
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            layers.Conv2D(4, 3, activation="tanh", name="conv1"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, activation="tanh", name="hidden1"),
            layers.Dense(classes, activation="softmax", name="digit"),
        ]
    )


def residual_model(size: int = 6, channels: int = 2, classes: int = 3):
    """A stream of channels that two layers read, and a branch added to it."""
    inputs = keras.Input((size, size, channels))
    stream = layers.Conv2D(4, 3, padding="same", activation="tanh", name="stem")(inputs)
    branch = layers.Conv2D(3, 3, padding="same", activation="tanh", name="inner")(stream)
    branch = layers.Conv2D(4, 3, padding="same", activation="tanh", name="outer")(branch)
    stream = layers.Add(name="add")([stream, branch])
    pooled = layers.GlobalAveragePooling2D(name="mean")(stream)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="digit")(pooled))


def concatenate_model(size: int = 6, channels: int = 2, classes: int = 3):
    """Two convolutions side by side that one layer reads."""
    inputs = keras.Input((size, size, channels))
    left = layers.Conv2D(3, 3, padding="same", activation="tanh", name="left")(inputs)
    right = layers.Conv2D(4, 1, padding="same", activation="tanh", name="right")(inputs)
    joined = layers.Concatenate(name="joined")([left, right])
    after = layers.Conv2D(4, 3, activation="tanh", name="after")(joined)
    pooled = layers.GlobalAveragePooling2D(name="mean")(after)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="digit")(pooled))


MODELS = {
    "dense": dense_model,
    "conv": conv_model,
    "flatten": flatten_model,
    "residual": residual_model,
    "concatenate": concatenate_model,
}


class OwnStep(keras.Model):
    """A model whose training step is its own."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, [variable.value for variable in self.trainable_variables])
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def weights_of(model) -> list[np.ndarray]:
    """Copies of every weight."""
    return [np.array(value) for value in model.get_weights()]


def state_of(model) -> list[np.ndarray]:
    """Copies of every weight and of every variable of the optimizer."""
    held = [*model.weights, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in held]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Whether two lists of arrays are equal bit by bit."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))
