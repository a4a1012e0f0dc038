"""Statistics that layers divide by: derived again from what is read, and never rounded away."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare import pack, unpack

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(3, 5, size=(60, 6)).astype("float32")


def _adapted(nested: bool) -> keras.Model:
    first = layers.Normalization()
    first.adapt(X)
    if nested:
        first = keras.Sequential([keras.Input((6,)), first])
    model = keras.Sequential([keras.Input((6,)), first, layers.Dense(3)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("nested", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_adapted_layers_compute_as_before(nested, tmp_path):
    model, path = _adapted(nested), tmp_path / "model.snare"
    pack(model, path)
    found = unpack(path).predict(X, verbose=0)
    np.testing.assert_array_equal(found, model.predict(X, verbose=0))


@pytest.mark.parametrize("quality", [80, pytest.param(None, marks=pytest.mark.slow)])
def test_adapted_layers_are_evaluated_as_they_are_unpacked(quality, tmp_path):
    model, path = _adapted(False), tmp_path / "model.snare"
    y = 3 + model.predict(X, verbose=0)
    target = {"max_loss": 0.01} if quality is None else {"quality": quality}
    report = pack(model, path, **target, validation_data=(X, y))
    found = unpack(path)
    found.compile("sgd", "mse")
    assert report.reference == pytest.approx(model.evaluate(X, y, verbose=0))
    assert report.value == pytest.approx(found.evaluate(X, y, verbose=0))
    assert quality or report.value - report.reference <= 0.01


@pytest.mark.slow
def test_training_for_few_bytes_leaves_adapted_layers_alone(tmp_path):
    model = _adapted(False)
    rate = keras_snare.RateCallback(path=tmp_path / "model.snare")
    model.fit(X, X[:, :3], verbose=0, callbacks=[rate])
    found = unpack(tmp_path / "model.snare").predict(X, verbose=0)
    np.testing.assert_array_equal(found, model.predict(X, verbose=0))
