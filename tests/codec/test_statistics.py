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


def _normalized(spread: float) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A sum of normalized inputs, whose deviations are so far apart."""
    random = np.random.default_rng(0)
    deviations = np.logspace(-spread, spread, 16).astype("float32")
    x = (random.normal(1, 1, size=(400, 16)) * deviations).astype("float32")
    model = keras.Sequential([keras.Input((16,)), layers.BatchNormalization(), layers.Dense(1)])
    model.layers[0].moving_variance.assign(x.var(0))
    model.layers[0].moving_mean.assign(x.mean(0))
    model.layers[1].kernel.assign(np.ones((16, 1)))
    model.compile("sgd", "mse")
    return model, x, model.predict(x, verbose=0)


@pytest.mark.parametrize("quality", [40, pytest.param(95, marks=pytest.mark.slow)])
@pytest.mark.parametrize("measured", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_small_variances_beside_large_ones_are_kept(quality, measured, tmp_path):
    errors = []
    for spread in (0.0, 1.5):
        model, x, y = _normalized(spread)
        data = {"data": (x, y + 1)} if measured else {}
        pack(model, tmp_path / "model.snare", quality=quality, **data)
        found = unpack(tmp_path / "model.snare")
        assert (found.layers[0].moving_variance.numpy() > 0).all()
        errors.append(np.sqrt(np.mean((found.predict(x, verbose=0) - y) ** 2)))
    assert errors[1] <= 2 * errors[0] + 0.01


def test_variances_that_are_none_are_rounded_as_others(tmp_path):
    model, _, _ = _normalized(0.0)
    model.layers[0].moving_variance.assign(np.linspace(-1, 1, 16))
    pack(model, tmp_path / "model.snare", quality=50)
    found = unpack(tmp_path / "model.snare").get_weights()[3]
    np.testing.assert_allclose(found, np.linspace(-1, 1, 16), atol=0.02)
