"""Our layers in the formats that `model.export` writes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_snare.layers import DCTConv2D, DCTDense, KroneckerDense, LowRankDense

layers = keras.layers


@pytest.mark.slow
def test_a_saved_model_computes_the_same(tmp_path):
    parts = [
        DCTConv2D(4, 3, coefficients=5, padding="same", activation="relu"),
        layers.Flatten(),
        DCTDense(12, "relu", coefficients=30, input_grid=(6, 6, 4)),
        LowRankDense(12, 3, "tanh"),
        KroneckerDense(6, None, 2),
    ]
    model = keras.Sequential([keras.Input((6, 6, 2)), *parts])
    x = np.random.default_rng(0).normal(size=(5, 6, 6, 2)).astype("float32")
    model.export(str(tmp_path / "model"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(loaded.serve(x), model(x), atol=1e-5)
