"""Our layers on backends that are not TensorFlow."""

import importlib.util
import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import keras_snare
from keras_snare.layers import DCTConv2D, DCTDense, KroneckerDense, LowRankDense

assert keras.backend.backend() == sys.argv[1]
folder = Path(tempfile.mkdtemp())
random = np.random.default_rng(0)
x = random.normal(size=(8, 12)).astype("float32")


def values(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs))


def trained(parts, inputs):
    model = keras.Sequential([keras.Input(inputs.shape[1:]), *parts, keras.layers.Dense(2)])
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(inputs, np.ones((8, 2)), verbose=0)
    assert not any(map(np.array_equal, before, model.get_weights()))
    model.save(folder / "model.keras")
    again = keras.models.load_model(folder / "model.keras")
    np.testing.assert_allclose(values(again, inputs), values(model, inputs), atol=1e-6)
    return model


dense = [
    DCTDense(6, "relu", coefficients=7, input_grid=(3, 4)),
    LowRankDense(6, 3, "relu"),
    KroneckerDense(6, None, 2, "relu"),
]
for layer in dense:
    trained([layer], x)
    kernel, bias = (keras.ops.convert_to_numpy(one) for one in (layer.dense_kernel(), layer.bias))
    np.testing.assert_allclose(values(layer, x), np.maximum(x @ kernel + bias, 0), atol=1e-5)

images = random.normal(size=(8, 9, 9, 3)).astype("float32")
layer = DCTConv2D(4, 5, coefficients=6, use_bias=False)
trained([layer, keras.layers.Flatten()], images)
taps = keras.ops.convert_to_numpy(layer.taps())
found = values(layer, np.ones((2, 9, 9, 3), "float32"))
np.testing.assert_allclose(found[0, 0, 0], taps.sum(axis=(0, 1, 2)), atol=1e-5)

conv = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")
flatten, first = keras.layers.Flatten(), keras.layers.Dense(8, "relu", name="first")
model = trained([conv, flatten, first], images)
for method in ("svd", "tucker", "spatial", "auto"):
    full = keras_snare.factorize(model, "full", method=method, data=(images,))
    np.testing.assert_allclose(values(full, images), values(model, images), atol=1e-4)
y = np.ones((8, 2), "float32")
less = keras_snare.factorize(model, budget=0.5, data=(images, y), sensitivity="loss")
assert less.count_params() <= model.count_params() / 2
less.fit(images, y, verbose=0)
same = keras_snare.to_basis(model, 1.0)
np.testing.assert_allclose(values(same, images), values(model, images), atol=1e-4)
keras_snare.to_basis(model, 0.3, data=(images,)).fit(images, y, verbose=0)

for callback in (
    keras_snare.SpectralPruneCallback(4),
    keras_snare.SnareCallback(monitor="loss", mode="min", verbose=0),
):
    try:
        same.fit(images, y, epochs=2, verbose=0, callbacks=[callback])
    except keras_snare.UnsupportedModelError as error:
        assert f"Received: {sys.argv[1]}" in str(error)
    else:
        raise AssertionError(callback)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_is_computed_elsewhere(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, backend], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
