"""Kernels of few values, as clustering leaves them, come back as they were."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare import pack, unpack


def _clustered(count: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((48,)), layers.Dense(32)])
    keras_snare.cluster_weights(model, count)
    return model


def _constant(_) -> keras.Model:
    settings = {"depthwise_initializer": keras.initializers.Constant(1 / 9), "use_bias": False}
    return keras.Sequential([keras.Input((8, 8, 3)), layers.DepthwiseConv2D(3, **settings)])


@pytest.mark.parametrize(
    ("make", "count"),
    [(_constant, 1), (_clustered, 4), (_clustered, 16)],
    ids=["constant", "4 values", "16 values"],
)
def test_few_values_are_kept_at_a_quality(make, count, tmp_path):
    model = make(count)
    report = pack(model, tmp_path / "model.snare", quality=40)
    assert report.variables[0].form == f"{count} values"
    found = unpack(tmp_path / "model.snare").get_weights()[0]
    np.testing.assert_array_equal(found, model.get_weights()[0])


def test_few_numbers_of_many_values_are_rounded(tmp_path):
    model = _clustered(16)
    random = np.random.default_rng(0)
    sparse = np.where(random.random((48, 32)) < 0.02, random.normal(size=(48, 32)), 0)
    model.layers[0].kernel.assign(sparse)
    report = pack(model, tmp_path / "model.snare", quality=40)
    assert report.variables[0].form == "none"
