"""Weights on their way to tf_keras, through TF-MOT, and back into the same variables."""

import os

import bridging
import keras
import models
import numpy as np
import pytest
import tensorflow as tf

import keras_snare
from keras_snare.quantize import to_tf_keras
from keras_snare.quantize.environment import tf_mot

layers = keras.layers


def small():
    return models.chain((6,), layers.Dense(4, "relu6", name="one"), layers.Dense(3, name="two"))


def patterns():
    """What TF-MOT looks for, and a separable convolution, which it would rename."""
    inner = models.chain(
        (8, 8, 2),
        layers.Conv2D(4, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        name="inner",
    )
    inputs = keras.Input((8, 8, 2))
    tensor = layers.SeparableConv2D(4, 3, activation="relu", name="sep")(inner(inputs))
    tensor = layers.Conv2DTranspose(3, 2, name="up")(tensor)
    tensor = tensor + layers.DepthwiseConv2D(1, activation="relu6", name="depth")(tensor)
    tensor = layers.Flatten()(tensor)
    return keras.Model(inputs, layers.Dense(3, "softmax", name="out")(tensor))


def test_training_goes_back_through_tf_mot():
    quantization, legacy = tf_mot().quantization.keras, os.environ.get("TF_USE_LEGACY_KERAS")
    assert legacy is None
    assert tf.keras.__version__.startswith("3.")
    model = models.randomize(patterns())
    variables = model.variables
    twin = to_tf_keras(model)
    quantized = quantization.quantize_model(twin.model)
    for here, there in twin.variables(quantized):
        np.testing.assert_array_equal(here, there)
    inputs = models.inputs_for(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantized(inputs, training=True) * np.array([1.0, 2.0, 4.0]))
    trained = [there for _, there in twin.variables(quantized) if there.trainable]
    for variable, slope in zip(trained, tape.gradient(loss, trained), strict=True):
        variable.assign_sub(0.1 * slope)
    before = model.get_weights()
    twin.write_back(quantized)
    assert all(one is other for one, other in zip(model.variables, variables, strict=True))
    moved = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert all(moved)
    for here, there in twin.variables(quantized):
        np.testing.assert_array_equal(here, there)
    twin.copy_weights()
    bridging.assert_close(*bridging.outputs_of(model, twin, inputs))


def test_statistics_come_back():
    model = models.randomize(
        models.chain((6, 6, 3), layers.BatchNormalization(), layers.Dense(2, name="out"))
    )
    twin = to_tf_keras(model)
    inputs = models.inputs_for(model)
    twin.model(inputs, training=True)
    model(inputs, training=True)
    mean, variance = [keras.ops.convert_to_numpy(one) for one in model.layers[0].weights[2:]]
    twin.write_back()
    norm = model.layers[0]
    np.testing.assert_allclose(norm.moving_mean, mean, atol=1e-6)
    # On images tf_keras takes the variance of a sample, n - 1 for n.
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1 / (4 * 36 - 1))


def test_optimizer_of_the_model_goes_on():
    model = models.randomize(small())
    model.compile("adam", "mse")
    data = models.inputs_for(model), np.ones((4, 3), "float32")
    model.fit(*data, verbose=0)
    twin = to_tf_keras(model)
    twin.model.compile("sgd", "mse")
    twin.model.fit(*data, epochs=2, verbose=0)
    twin.write_back()
    bridging.assert_close(*bridging.outputs_of(model, twin, data[0]))
    expected = twin.model.evaluate(*data, verbose=0)
    np.testing.assert_allclose(model.evaluate(*data, verbose=0), expected, rtol=1e-5)
    assert model.fit(*data, verbose=0).history["loss"][0] < expected * 1.01


def test_model_that_was_cut():
    model = models.randomize(patterns())
    stale = to_tf_keras(model)
    keras_snare.prune(model, 0.5, criterion="l1_in")
    bridging.assert_same(model)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"Make a twin anew\s+where the model was cut"):
        stale.write_back()
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("given", [3, "another"])
def test_other_model_is_refused_before_anything_changes(given):
    model = models.randomize(small())
    twin = to_tf_keras(model)
    if given == "another":
        given = to_tf_keras(models.chain((6,), layers.Dense(4, name="one"))).model
    before = model.get_weights()
    for call in (twin.write_back, twin.copy_weights, twin.variables):
        with pytest.raises(
            ValueError, match=r"with one weight '(one|two)/kernel:0'.*Received: none"
        ):
            call(given)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert repr(twin) == f"TfKerasTwin({model.name!r}: 4 weights)"
