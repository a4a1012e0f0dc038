"""A program of a user's, whose own layer, loss and data workers get from it. Run by test_ray.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_snare


class Doubled(keras.layers.Layer):
    """A layer that nobody registered."""

    def call(self, inputs):
        return 2 * inputs


def own_loss(y, answer):
    return keras.losses.sparse_categorical_crossentropy(y, answer)


def data(seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(64, 8)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


def opened(seed):
    return tf.data.Dataset.from_tensor_slices(data(seed)).batch(16)


def program():
    keras.utils.set_random_seed(0)
    keras_snare.register_layer(Doubled)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(12, "relu"), Doubled(), layers.Dense(2, "softmax")]
    )
    model.compile("adam", own_loss, metrics=["accuracy"])
    settings = {"engine": "ray", "max_trials": 2, "seed": 1, "verbose": 2}
    before = model.get_weights()
    with pytest.raises(TypeError, match="give a function"):
        keras_snare.compress(model, opened(0), lambda: opened(1), **settings)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    _, report = keras_snare.compress(model, lambda: opened(0), lambda: opened(1), **settings)
    assert len(report.rows) == 2
    print("done", report.params_before, report.params_after)


if __name__ == "__main__":
    program()
