"""What cannot be compensated, or data that do not suit: refused, and the model stays as it was."""

import compensating
import keras
import models
import numpy as np
import pytest
from state import assert_same_state, state_of

import keras_snare

layers = keras.layers
LEAST_SQUARES = "least_squares"


def behind(*parts, shape=(6,)):
    return models.chain(shape, layers.Dense(5, "sigmoid", name="unit"), *parts)


def product():
    inputs = keras.Input((4, 6))
    names = ("unit", "other")
    return keras.Model(inputs, layers.Dot(2)([layers.Dense(5, name=one)(inputs) for one in names]))


READERS = {
    "recurrent": (
        lambda: behind(layers.LSTM(4, name="reader"), layers.Dense(3), shape=(4, 6)),
        LEAST_SQUARES,
        r"fits Dense and convolution layers.*Received: 'reader' \(LSTM\).*Leave compensate out",
    ),
    "wrapped": (
        lambda: behind(layers.TimeDistributed(layers.Dense(4), name="reader"), shape=(4, 6)),
        "mean",
        r"compensate='mean' fits .* Received: 'reader' \(TimeDistributed\)",
    ),
    "no weights": (
        product,
        LEAST_SQUARES,
        "Received: units of 'unit' that no layer's weights read",
    ),
    "no constant": (
        lambda: behind(layers.Dense(3, use_bias=False, name="reader")),
        "mean",
        "compensate='mean' needs a bias in 'reader', or a BatchNormalization right behind it",
    ),
}


@pytest.mark.parametrize(("build", "kind", "message"), READERS.values(), ids=READERS)
def test_readers_that_cannot_be_fitted(build, kind, message):
    model = models.randomize(build())
    data, before = compensating.examples(model, 8), state_of(model)
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.shrink(model, {"unit": [0, 2]}, compensate=kind, data=data)
    assert_same_state(state_of(model), before)


def numbers(*shape, value=1.0):
    return np.full(shape, value, "float32")


ARGUMENTS = {
    "unknown": (
        {"compensate": "average", "data": (numbers(4, 6),)},
        "one of 'mean', 'least_squares', or None. Received: compensate='average'",
    ),
    "no data": ({"compensate": "mean"}, r"Received: data=None. Give `data=\(x,\)`"),
    "bare array": (
        {"compensate": "mean", "data": numbers(4, 6)},
        r"Received: an array of shape \(4, 6\). Give `data=\(x,\)`",
    ),
    "iterator": ({"compensate": "mean", "data": iter([1])}, "can be read once"),
    "no example": ({"compensate": "mean", "data": (numbers(0, 6),)}, "hold no example"),
    "twice": (
        {"compensate": "mean", "data": (numbers(4, 6),), "fold_constants": True},
        "fold_constants=True. Give one of the two",
    ),
    "not finite": (
        {"compensate": LEAST_SQUARES, "data": (numbers(4, 6, value=np.nan),)},
        "Received: data of which 'reader' makes NaN or infinity",
    ),
}


@pytest.mark.parametrize("call", ["shrink", "prune"])
@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(arguments, message, call):
    model = models.randomize(behind(layers.Dense(4, "relu", name="reader"), layers.Dense(3)))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    before = state_of(model)
    amount = {"unit": [0, 2], "reader": [1]} if call == "shrink" else 0.5
    with pytest.raises(ValueError, match=message):
        getattr(keras_snare, call)(model, amount, **arguments)
    assert_same_state(state_of(model), before)


def test_data_without_compensation():
    with pytest.raises(ValueError, match="Received: compensate=None. Give one of these, or leave"):
        keras_snare.shrink(behind(layers.Dense(3)), {"unit": [0]}, data=(numbers(4, 6),))
