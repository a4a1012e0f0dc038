"""Deep Compression in one call."""

import keras
import numpy as np
import pytest
from training import digits

import keras_snare

layers = keras.layers
(X, Y), (X_VAL, Y_VAL) = digits(600, 300)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(48, "relu"), layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    model.fit(X, Y, 64, 12, verbose=0)
    return model


def copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile_from_config(model.get_compile_config())
    return copy


def values(model):
    return [np.unique(one[one != 0]) for one in model.get_weights() if one.ndim > 1]


def test_pruned_clustered_and_packed(trained, tmp_path):
    model, path = copied(trained), tmp_path / "small.snare"
    before = model.evaluate(X_VAL, Y_VAL, verbose=0)[1]
    report = keras_snare.deep_compress(
        model, path, (X, Y), sparsity=0.8, clusters=8, epochs=6, batch_size=64, verbose=0
    )
    assert model.evaluate(X_VAL, Y_VAL, verbose=0)[1] > before - 0.05
    assert keras_snare.Masks.of(model).sparsity == pytest.approx(0.8, abs=0.01)
    assert max(map(len, values(model))) <= 8
    again = keras_snare.unpack(path)
    for found, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert path.stat().st_size == report.bytes < 4 * model.count_params() / 8
    model.fit(X, Y, verbose=0)


def test_without_training(trained, tmp_path):
    model = copied(trained)
    keras_snare.deep_compress(model, tmp_path / "small.snare", sparsity=0.5, clusters=4)
    assert keras_snare.Masks.of(model).sparsity == pytest.approx(0.5, abs=0.01)
    assert max(map(len, values(model))) <= 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.5}, "sparsity"),
        ({"clusters": 1}, "clusters"),
        ({"data": (X, Y), "epochs": 1}, "`epochs` is 2 or more"),
        ({"verbose": 0}, "Arguments of `fit` are for a training"),
        ({"data": (X, Y[:5])}, "data"),
        ({"path": "missing/small.snare"}, "The folder of `path` exists"),
    ],
    ids=lambda one: str(one)[:12],
)
def test_wrong_use_changes_nothing(trained, tmp_path, arguments, message):
    model = copied(trained)
    with pytest.raises(ValueError, match=message):
        keras_snare.deep_compress(model, **{"path": tmp_path / "small.snare", **arguments})
    for now, was in zip(model.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)
    assert list(tmp_path.iterdir()) == []
