"""Our layers on a backend that is not TensorFlow."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import keras
import numpy as np
from keras_snare.layers import DCTConv2D, DCTDense, KroneckerDense, LowRankDense

x = np.random.default_rng(0).normal(size=(8, 12)).astype("float32")
dense = [
    DCTDense(6, "relu", coefficients=7, input_grid=(3, 4)),
    LowRankDense(6, 3, "relu"),
    KroneckerDense(6, None, 2, "relu"),
]
for layer in dense:
    model = keras.Sequential([keras.Input((12,)), layer, keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(x, np.ones((8, 2)), verbose=0)
    kernel, bias = (keras.ops.convert_to_numpy(one) for one in (layer.dense_kernel(), layer.bias))
    found = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, np.maximum(x @ kernel + bias, 0), atol=1e-5)
images = np.ones((2, 9, 9, 3), "float32")
layer = DCTConv2D(4, 5, coefficients=6, use_bias=False)
found = keras.ops.convert_to_numpy(layer(images))
taps = keras.ops.convert_to_numpy(layer.taps())
np.testing.assert_allclose(found[0, 0, 0], taps.sum(axis=(0, 1, 2)), atol=1e-5)
"""


@pytest.mark.slow
def test_the_same_is_computed_on_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
