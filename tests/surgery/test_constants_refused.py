"""What cannot be folded is refused by `fold_constants`, and the model stays as it was."""

import keras
import models
import numpy as np
import pytest
from state import assert_same_state, state_of

import keras_snare

layers, ops = keras.layers, keras.ops


def unit(inputs):
    return layers.Dense(5, "sigmoid", name="unit")(inputs)


def behind(*parts, shape=(6,)):
    return models.chain(shape, layers.Dense(5, "sigmoid", name="unit"), *parts)


def behind_convolution(*parts):
    maker = layers.Conv2D(5, 2, activation="sigmoid", name="unit")
    return models.chain((6, 6, 2), maker, *parts, layers.Flatten(), layers.Dense(3))


def normalized_over_time():
    return behind(layers.Dense(4, use_bias=False), layers.BatchNormalization(axis=1), shape=(4, 6))


def read_twice():
    """The reader's output goes into a normalisation, and past it."""
    inputs = keras.Input((6,))
    found = layers.Dense(3, use_bias=False)(unit(inputs))
    return keras.Model(inputs, layers.Add()([found, layers.BatchNormalization()(found)]))


def also_an_output():
    inputs = keras.Input((6,))
    found = layers.Dense(3, use_bias=False)(unit(inputs))
    return keras.Model(inputs, [found, layers.BatchNormalization()(found)])


def shared_normalization():
    inputs = keras.Input((6,))
    norm = layers.BatchNormalization()
    found = norm(layers.Dense(3, use_bias=False)(unit(inputs)))
    return keras.Model(inputs, [found, norm(layers.Dense(3)(inputs))])


def shared_reader():
    """One layer that reads other units in each of its calls."""
    inputs = keras.Input((6,))
    reader = layers.Dense(3)
    other = layers.Dense(5, "softplus", name="other")(inputs)
    return keras.Model(inputs, [reader(unit(inputs)), reader(other)])


def different_at_each_position():
    inputs = keras.Input((4, 6))
    found = unit(inputs) + np.arange(4.0, dtype="float32")[:, np.newaxis]
    return keras.Model(inputs, layers.Dense(3)(found))


def mixed_behind_tokens():
    inputs = keras.Input((4,))
    found = layers.LayerNormalization()(unit(layers.Embedding(7, 6)(inputs)))
    return keras.Model(inputs, layers.Dense(3)(found))


REFUSED = {
    "reader without bias": (
        lambda: behind(layers.Dense(3, use_bias=False, name="reader")),
        "needs a bias in 'reader', or a BatchNormalization right behind it",
    ),
    "recurrent reader": (
        lambda: behind(layers.LSTM(4, name="reader"), layers.Dense(3), shape=(4, 6)),
        r"cannot fold into 'reader' \(LSTM\); it covers Dense and convolution layers",
    ),
    "wrapped reader": (
        lambda: behind(layers.TimeDistributed(layers.Dense(4), name="reader"), shape=(4, 6)),
        r"cannot fold into 'reader' \(TimeDistributed\)",
    ),
    "attention": (
        lambda: _attention(),
        r"cannot fold into 'reader' \(MultiHeadAttention\)",
    ),
    "layer that mixes": (
        lambda: behind(layers.LayerNormalization(), layers.Dense(3, name="reader")),
        "what 'reader' reads of the removed units is not the same for all inputs",
    ),
    "product with the input": (
        lambda: _gated(),
        "what 'reader' reads of the removed units is not the same for all inputs",
    ),
    "normalisation past which it is read": (read_twice, "needs a bias in 'dense'"),
    "layer that mixes behind tokens": (mixed_behind_tokens, "not the same for all inputs"),
    "other value at each position": (different_at_each_position, "fold_constants"),
    "padding": (
        lambda: behind_convolution(layers.ZeroPadding2D(1), layers.Conv2D(4, 2)),
        "fold_constants",
    ),
    "padding of a depthwise convolution": (
        lambda: behind_convolution(layers.DepthwiseConv2D(3, padding="same"), layers.Conv2D(4, 2)),
        "fold_constants",
    ),
    "activation before the normalisation": (
        lambda: behind(layers.Dense(4, "relu", use_bias=False), layers.BatchNormalization()),
        "fold_constants",
    ),
    "normalisation of another axis": (normalized_over_time, "fold_constants"),
    "output before the normalisation": (also_an_output, "fold_constants"),
    "shared normalisation": (shared_normalization, "fold_constants"),
    "shared reader": (shared_reader, "fold_constants"),
}


def _attention():
    inputs = keras.Input((4, 6))
    found = unit(inputs)
    return keras.Model(inputs, layers.MultiHeadAttention(2, 3, name="reader")(found, found))


def _gated():
    inputs = keras.Input((5,))
    scale = ops.sum(inputs, axis=-1, keepdims=True)
    return keras.Model(inputs, layers.Dense(3, name="reader")(unit(inputs) * scale))


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_and_unchanged(build, message):
    model = models.randomize(build())
    before = state_of(model)
    plan = {"unit": [0, 2]}
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.shrink(model, plan, fold_constants=True)
    assert_same_state(state_of(model), before)
    keras_snare.shrink(model, plan)


def test_shared_reader_of_shared_units_keeps_their_constant_once():
    """Both calls lose the same, and one bias gives it back to both."""
    one, other = keras.Input((6,)), keras.Input((6,))
    shared, reader = layers.Dense(2, "sigmoid", name="unit"), layers.Dense(1)
    model = keras.Model([one, other], [reader(shared(one)), reader(shared(other))])
    shared.bias.assign([3.0, 0.0])
    reader.kernel.assign([[1.0], [4.0]])
    keras_snare.shrink(model, {"unit": [0]}, fold_constants=True)
    np.testing.assert_allclose(reader.bias, [2.0])


def test_prune_that_is_refused_changes_nothing():
    model = behind(layers.Dense(3, use_bias=False))
    model.layers[0].bias.assign(np.ones(5))
    before = state_of(model)
    with pytest.raises(keras_snare.UnsupportedModelError, match="needs a bias"):
        keras_snare.prune(model, 0.5, fold_constants=True)
    assert_same_state(state_of(model), before)
