"""Every activation of Keras, as an argument, a layer and a function: equal, or refused."""

import keras
import models
import numpy as np
import pytest
from bridging import assert_close, assert_same, outputs_of

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize import to_tf_keras

layers, ops = keras.layers, keras.ops
NAMES = sorted(
    name
    for name, one in vars(keras.activations).items()
    if callable(one) and name not in ("get", "serialize", "deserialize")
)
# One needs more than its input, one halves its width, which the layers do not know.
UNFIT = ("glu", "threshold")
ALL = np.linspace(-9, 9, 60, dtype="float32").reshape(10, 6)


@pytest.mark.parametrize("name", NAMES)
def test_activation(name):
    argument = layers.Dense(6, name, kernel_initializer="identity", name="dense")
    inputs = keras.Input((6,))
    model = keras.Model(inputs, [argument(inputs), layers.Activation(name, name="act")(inputs)])
    if name in UNFIT:
        with pytest.raises(UnsupportedModelError, match=f"activation '{name}' is none of celu,"):
            to_tf_keras(model)
        return
    twin = to_tf_keras(model)
    assert_close(*outputs_of(model, twin, ALL))
    assert twin.names["dense"][0] == "dense"
    assert twin.names["act"] == ("act",)


def test_functions_of_keras_ops_are_known_as_activations_where_they_are_the_same():
    for name in set(NAMES) & set(vars(ops)) - set(UNFIT):
        model = models.chain((6,), layers.Dense(6, getattr(ops, name)))
        if name == "gelu":
            with pytest.raises(UnsupportedModelError, match="activation 'gelu' is none of"):
                to_tf_keras(model)
        else:
            assert_close(*outputs_of(model, to_tf_keras(model), ALL))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (layers.Activation("relu"), "Activation"),
        (layers.Activation("relu6"), "ReLU"),
        (layers.LeakyReLU(), "LeakyReLU"),
        (keras.activations.relu, "ReLU"),
        (ops.relu, "ReLU"),
        (ops.relu6, "ReLU"),
        (ops.leaky_relu, "LeakyReLU"),
        (ops.elu, "ELU"),
        (ops.silu, "Activation"),
        (ops.softmax, "Softmax"),
        (layers.Activation("hard_silu"), "KerasFunction"),
        (ops.gelu, "KerasFunction"),
    ],
)
def test_kind_of_the_layer(given, kind):
    inputs = keras.Input((6,))
    twin = assert_same(keras.Model(inputs, given(inputs)), ALL)
    assert type(twin.model.layers[-1]).__name__ == kind


def test_activation_of_a_layer_that_has_another_name_stands_behind_it():
    model = models.chain((6,), layers.Dense(3, "relu6", name="one"), layers.Dense(3, "silu"))
    kinds = [type(one).__name__ for one in to_tf_keras(model).model.layers]
    assert kinds == ["InputLayer", "Dense", "ReLU", "Dense"]
