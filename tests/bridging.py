"""Whether a model in Keras 3 and its twin in tf_keras compute the same, trained and not."""

import keras
import models
import numpy as np
import tensorflow as tf

from keras_snare.quantize import to_tf_keras

TOLERANCE = 1e-5


def outputs_of(model, twin, inputs, training=False):
    """What both compute of the same inputs."""
    flat = keras.tree.flatten(inputs)
    there = twin.model(flat if len(flat) > 1 else flat[0], training=training)
    here = model(inputs, training=training)
    return [models.arrays(here), models.arrays(there)]


def assert_close(here, there, tolerance=TOLERANCE):
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        scale = max(1.0, float(np.abs(one).max(initial=0.0)))
        np.testing.assert_allclose(other, one, rtol=0, atol=tolerance * scale)


def gradients_of(model, twin, inputs):
    """Slopes of the same loss for every weight that is trained, in both."""
    flat = keras.tree.flatten(inputs)
    trained = {id(variable) for variable in model.trainable_variables}
    pairs = [pair for pair in twin.variables() if id(pair[0]) in trained]
    found = []
    calls = (
        (lambda: model(inputs, training=True)),
        (lambda: twin.model(flat if len(flat) > 1 else flat[0], training=True)),
    )
    for side, call in enumerate(calls):
        variables = [pair[side] for pair in pairs]
        variables = [getattr(one, "value", one) if side == 0 else one for one in variables]
        with tf.GradientTape() as tape:
            loss = sum(
                tf.reduce_sum(tf.sin(tf.cast(one, "float32"))) for one in keras.tree.flatten(call())
            )
        slopes = tape.gradient(loss, variables, unconnected_gradients="zero")
        found.append([np.asarray(tf.convert_to_tensor(one)) for one in slopes])
    return found


def assert_same(model, inputs=None):
    """Builds the twin and compares it."""
    inputs = models.inputs_for(model) if inputs is None else inputs
    before = model.get_weights()
    twin = to_tf_keras(model)
    assert_close(*outputs_of(model, twin, inputs))
    if not models.is_random(model):
        assert_close(*outputs_of(model, twin, inputs, training=True))
        assert_close(*gradients_of(model, twin, inputs), tolerance=1e-4)
        model.set_weights(before)
        twin.copy_weights()
    return twin
