"""`taylor` with data against two implementations that share nothing with it.

One differentiates by a layer's output with a tape, example by example; the other scales a channel
wherever it is read and takes the difference quotient of the example's loss.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import MODELS, compiled, conv_model, random_data

from keras_snare.criteria import TaylorCriterion, statistics
from keras_snare.graph import channel_groups

# Layers that read each group of channels, and how many positions they read, all together.
READERS = {
    "flatten": {"conv1": (["hidden1"], 4), "hidden1": (["digit"], 1)},
    "residual": {"stem": (["inner", "digit"], 36 + 1), "inner": (["outer"], 36)},
    "concatenate": {"left": (["after"], 36), "right": (["after"], 36), "after": (["digit"], 1)},
}
# Axis of each reader's kernel and the entries that hold a channel, given the channel's number.
ROWS = {
    ("flatten", "conv1"): lambda channel: slice(channel, None, 4),
    ("concatenate", "right"): lambda channel: 3 + channel,
}


def _found(model, layer, data, batch_size):
    groups = channel_groups(model)
    return statistics(model, groups, [groups[layer]], TaylorCriterion(), data, batch_size)[layer]


def _loss(model, x, y):
    picked = keras.ops.convert_to_numpy(model(x[None], training=False))[0, y]
    return -np.log(picked)


@pytest.mark.parametrize("batch_size", [1, 5, 128], ids="one some all".split())
def test_equals_a_tape_example_by_example(batch_size):
    model = compiled(conv_model())
    x, y = random_data(model, 12)
    first = keras.Model(model.inputs[0], model.get_layer("pool").output)
    expected = []
    for image, label in zip(x, y, strict=True):
        read = first(image[None], training=False)
        with tf.GradientTape() as tape:
            tape.watch(read)
            value = read
            for name in ("conv2", "mean", "digit"):
                value = model.get_layer(name)(value)
            loss = -tf.math.log(value[0, int(label)])
        product = read * tape.gradient(loss, read)
        expected.append(np.abs(np.mean(product.numpy()[0], axis=(0, 1))))
    np.testing.assert_allclose(
        _found(model, "conv1", (x, y), batch_size), np.mean(expected, axis=0), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("kind", "layer"), [(kind, layer) for kind, groups in READERS.items() for layer in groups]
)
def test_equals_the_difference_quotient(kind, layer):
    keras.config.set_dtype_policy("float64")
    try:
        model = compiled(MODELS[kind]())
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = random_data(model, 4)
    readers, positions = READERS[kind][layer]
    rows = ROWS.get((kind, layer), lambda channel: channel)
    found = _found(model, layer, (x, y), 3)

    expected = np.zeros(len(found))
    for channel in range(len(found)):
        for image, label in zip(x, y, strict=True):
            loss = functools.partial(_loss, model, image, label)
            slope = _slope(model, readers, rows(channel), loss)
            expected[channel] += abs(slope) / positions / len(x)

    np.testing.assert_allclose(found, expected, rtol=1e-4)


def _slope(model, readers, rows, loss, step=1e-4):
    """Derivative of a loss by a factor on what the readers read in some rows of their kernels."""
    kernels = [model.get_layer(name).kernel for name in readers]
    before = [kernel.numpy() for kernel in kernels]
    losses = []
    for factor in (1 + step, 1 - step):
        for kernel, value in zip(kernels, before, strict=True):
            scaled = value.copy()
            scaled[..., rows, :] *= factor
            kernel.assign(scaled)
        losses.append(loss())
    for kernel, value in zip(kernels, before, strict=True):
        kernel.assign(value)
    return (losses[0] - losses[1]) / (2 * step)


def test_labels_count():
    model = compiled(conv_model())
    x, y = random_data(model)
    assert not np.allclose(_found(model, "conv1", (x, y), 8), _found(model, "conv1", (x, 2 - y), 8))


def test_several_outputs_and_losses():
    inputs = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(3, activation="tanh", name="hidden")(inputs)
    outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in ("one", "two")}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"one": "mse", "two": "mse"}, jit_compile=False)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    y = {"one": x[:, :1], "two": x[:, 1:2]}
    units = np.tanh(x @ model.get_layer("hidden").kernel.numpy())
    slopes = 0
    for name, target in y.items():
        weight = model.get_layer(name).kernel.numpy()
        slopes = slopes + 2 * (units @ weight - target) @ weight.T
    # Every reader is a position more, and the mean is taken over the positions.
    np.testing.assert_allclose(
        _found(model, "hidden", (x, y), 4), np.mean(np.abs(units * slopes / 2), axis=0), rtol=1e-4
    )


def test_inputs_by_name():
    inputs = {name: keras.Input((2,), name=name) for name in ("left", "right")}
    joined = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
    hidden = keras.layers.Dense(3, activation="tanh", name="hidden")(joined)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))
    compiled(model)
    generator = np.random.default_rng(0)
    x = {name: generator.normal(size=(6, 2)).astype("float32") for name in ("left", "right")}
    y = np.array([0, 1, 0, 1, 0, 1])
    found = _found(model, "hidden", (x, y), 4)
    swapped = {"right": x["right"], "left": x["left"]}
    np.testing.assert_allclose(_found(model, "hidden", (swapped, y), 4), found)
    assert (found > 0).all()
