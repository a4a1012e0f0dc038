"""Operations whose work must not be guessed at hold their neighbours, and the reason is told."""

import cuts
import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.graph import channel_groups

layers, ops = keras.layers, keras.ops
VECTOR = np.arange(1.0, 6.0, dtype="float32")


class OwnCell(layers.Layer):
    """A recurrent cell that nobody knows."""

    state_size = 3

    def call(self, inputs, states):
        return states[0] + ops.max(inputs, axis=-1, keepdims=True), [states[0]]


class Block(keras.Model):
    """A part of a model, written as a class."""

    def call(self, inputs):
        return 2 * inputs


def around(wall, shape=(4, 6), units=5):
    """`held` in front of an operation, `free` behind it."""
    inputs = keras.Input(shape)
    found = wall(layers.Dense(units, name="held")(inputs))
    free = layers.Dense(4, "relu", name="free")(found)
    return keras.Model(inputs, layers.Dense(3, name="last")(free))


def reductions(*names):
    return {
        f"{name} over channels": (
            lambda x, name=name: getattr(ops, name)(x, axis=-1),
            f"{name} reduces over it",
        )
        for name in names
    }


def along(*names):
    return {
        f"{name} along channels": (
            lambda x, name=name: getattr(ops, name)(x, axis=-1),
            f"{name} works along it",
        )
        for name in names
    }


WALLS = {
    **reductions(*"all argmax count_nonzero logsumexp max mean median norm prod sum var".split()),
    **along(*"cumsum log_softmax normalize softmax sort sparsemax".split()),
    "sum over every axis": (
        lambda x: ops.sum(x, axis=(1, 2), keepdims=True),
        "sum reduces over it",
    ),
    "mean and variance": (
        lambda x: ops.moments(x, axes=[2])[0],
        "moments reduces over it",
    ),
    "roll of channels": (lambda x: ops.roll(x, 1, axis=-1), "roll works along it"),
    "one channel": (lambda x: x[..., 0], "get_item picks some of it"),
    "last channel": (lambda x: x[:, :, -1], "get_item picks some of it"),
    "every second channel": (lambda x: x[..., ::2], "get_item picks some of it"),
    "channels backwards": (lambda x: x[..., ::-1], "get_item picks some of it"),
    "channels by number": (
        lambda x: ops.take(x, [0, 2], axis=-1),
        "take reads it, an operation without a rule (Take)",
    ),
    "channels taken apart": (lambda x: ops.unstack(x, axis=-1)[0], "unstack takes it apart"),
    "channels repeated unequally": (
        lambda x: ops.repeat(x, [1, 1, 2, 1, 1], axis=-1),
        "repeat repeats some of its elements",
    ),
    "padded channels": (
        lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 1))),
        "pad pads it",
    ),
    "lambda": (
        lambda x: layers.Lambda(lambda one: one + 1, name="wall")(x),
        "wall reads it, an operation without a rule (Lambda)",
    ),
    "subclassed model": (
        lambda x: Block(name="wall")(x),
        "wall reads it, an operation without a rule (Block)",
    ),
    "own cell": (
        lambda x: layers.RNN(OwnCell(), name="wall")(x),
        "wall has a cell without a rule",
    ),
    "own cell among others": (
        lambda x: layers.RNN([layers.GRUCell(2), OwnCell()], name="wall")(x),
        "wall has a cell without a rule",
    ),
    "wrapped layer without a rule": (
        lambda x: layers.TimeDistributed(layers.Lambda(lambda one: one + 1), name="wall")(x),
        "wall reads it, an operation without a rule (Lambda)",
    ),
    "product with a vector": (
        lambda x: ops.reshape(ops.matmul(x, VECTOR), (-1, 4)),
        "matmul multiplies it with a vector",
    ),
    "product with a matrix": (
        lambda x: x @ np.ones((5, 2), "float32"),
        "matmul multiplies it with a tensor of fixed width",
    ),
    "equation without a result": (
        lambda x: ops.einsum("abc,cd", x, np.ones((5, 2), "float32")),
        "einsum is an equation that names not every axis",
    ),
    "factor for each channel": (
        lambda x: x * VECTOR,
        "multiply joins it with a tensor of fixed width",
    ),
    "summand for each channel": (
        lambda x: ops.add(VECTOR, x),
        "add joins it with a tensor of fixed width",
    ),
    "limit for each channel": (
        lambda x: ops.minimum(x, VECTOR),
        "minimum joins it with a tensor of fixed width",
    ),
    "limits for each channel": (
        lambda x: ops.clip(x, -VECTOR, VECTOR),
        "clip clips each of its channels by a fixed number",
    ),
    "scale for each channel": (
        lambda x: layers.Rescaling(VECTOR.tolist(), name="wall")(x),
        "wall scales each of its channels by a fixed number",
    ),
    "offset for each channel": (
        lambda x: layers.Rescaling(2.0, VECTOR.tolist(), name="wall")(x),
        "wall scales each of its channels by a fixed number",
    ),
    "statistics of some axes": (
        lambda x: layers.Normalization(axis=(1, 2), mean=VECTOR, variance=VECTOR, name="wall")(x),
        "wall normalises several axes by the statistics of some",
    ),
    "reshape across channels": (
        lambda x: ops.reshape(x, (-1, 5, 4)),
        "reshape does not keep its channels apart",
    ),
}


@pytest.mark.parametrize(("wall", "reason"), WALLS.values(), ids=WALLS)
def test_neighbours_of_a_wall_stay_whole(wall, reason):
    model = around(wall)
    groups = channel_groups(model)
    held = groups["held"]
    assert not held.prunable
    assert 0 in held.reasons
    assert held.reason == reason
    with pytest.raises(keras_snare.InvalidPlanError, match="Unit 0 of layer 'held' cannot be cut"):
        keras_snare.shrink(model, {"held": [1, 2, 3, 4]})
    keras_snare.shrink(model, cuts.halves(groups))
    assert (model.get_layer("held").units, model.get_layer("free").units) == (5, 2)
    model(models.inputs_for(model))


# The same operations where no channels lie, or with one number for all of them.
HARMLESS = {
    "sum over time": lambda x: ops.sum(x, axis=1),
    "softmax over time": lambda x: ops.softmax(x, axis=1),
    "one position": lambda x: x[:, 0],
    "every second position": lambda x: x[:, ::2],
    "padded positions": lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0))),
    "squeeze of another axis": lambda x: ops.squeeze(ops.max(x, axis=1, keepdims=True), axis=1),
    "one factor": lambda x: 3.0 * x,
    "a summand for each position": lambda x: x + np.ones((4, 1), "float32"),
    "one scale": lambda x: layers.Rescaling(2.0, 1.0)(x),
    "statistics of everything": lambda x: layers.Normalization(axis=None, mean=1, variance=2)(x),
}


@pytest.mark.parametrize("operation", HARMLESS.values(), ids=HARMLESS)
def test_beside_the_channels_it_is_no_wall(operation):
    model = around(operation)
    keras_snare.shrink(model, {"held": [1, 3]})
    model(models.inputs_for(model))


def test_channel_that_is_spread_is_held_alone():
    model = around(lambda x: x[..., :1] + np.ones((4, 5), "float32"))
    assert channel_groups(model)["held"].reasons == {0: "add spreads it over an axis"}


def test_squeeze_of_the_channels_holds_the_single_one():
    groups = channel_groups(around(lambda x: ops.squeeze(x, axis=-1), units=1))
    assert groups["held"].reason == "squeeze drops its axis"


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_state_of_fixed_width_holds_the_units_that_it_starts(kind):
    inputs, state = keras.Input((4, 6)), keras.Input((5,))
    states = [state] * (2 if kind == "LSTM" else 1)
    before = layers.Dense(4, name="before")(inputs)
    found = getattr(layers, kind)(5, name="held")(before, initial_state=states)
    model = keras.Model([inputs, state], layers.Dense(3, name="last")(found))
    groups = channel_groups(model)
    assert groups["held"].reason == "held starts from a state of fixed width"
    assert groups["before"].prunable


def test_mask_for_each_head_holds_the_heads():
    inputs, mask = keras.Input((4, 6)), keras.Input((2, 4, 4), dtype="bool")
    hidden = layers.Dense(6, name="hidden")(inputs)
    attention = layers.MultiHeadAttention(2, 3, name="attention")
    found = attention(hidden, hidden, attention_mask=mask)
    groups = channel_groups(keras.Model([inputs, mask], layers.Dense(3, name="last")(found)))
    assert groups["attention:heads"].reason == "attention has a mask for each head"
    for name in ("attention:key", "attention:value", "attention", "hidden"):
        assert groups[name].prunable


def test_mask_for_all_heads_holds_none():
    inputs, mask = keras.Input((4, 6)), keras.Input((4, 4), dtype="bool")
    attention = layers.MultiHeadAttention(2, 3, name="attention")
    found = attention(inputs, inputs, attention_mask=mask)
    groups = channel_groups(keras.Model([inputs, mask], layers.Dense(3, name="last")(found)))
    assert groups["attention:heads"].prunable


def test_reshape_that_mixes_two_axes_of_channels_holds_both():
    inputs = keras.Input((6,))
    one, other = layers.Dense(4, name="one")(inputs), layers.Dense(5, name="other")(inputs)
    products = ops.einsum("bi,bj->bij", one, other)
    flat = ops.reshape(products, (-1, 20))
    groups = channel_groups(keras.Model(inputs, layers.Dense(3, name="last")(flat)))
    for name in ("one", "other"):
        assert groups[name].reason == "reshape mixes two axes of channels"
