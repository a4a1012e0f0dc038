"""Subclassed models whose call cannot be read are refused; what it holds to a width stays whole."""

import cuts
import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_snare
from keras_snare.graph import channel_groups

layers, ops = keras.layers, keras.ops


class Between(keras.Model):
    """Two layers, and between them whatever is given."""

    def __init__(self, function, units=6):
        super().__init__(name="mine")
        self.function = function
        self.unit = layers.Dense(units, "relu", name="unit")
        self.last = layers.Dense(3, name="last")

    def call(self, inputs):
        return self.last(self.function(self.unit(inputs)))


def called(function, shape=(2, 4)):
    model = Between(function)
    model(np.ones((3, *shape), "float32"))
    return model


def _doubled_if_positive(tensor):
    return 2 * tensor if ops.mean(tensor) > 0 else tensor


NEED_VALUES = {
    "tensorflow": tf.nn.relu,
    "numpy": np.tanh,
    "condition": _doubled_if_positive,
}


@pytest.mark.parametrize("function", NEED_VALUES.values(), ids=NEED_VALUES)
def test_call_that_needs_values_is_refused(function):
    model = called(function)
    layers_before = [len(layer._inbound_nodes) for layer in model.layers]
    message = (
        r"(?s)Model 'mine' is subclassed \(Between\).*Write it with Keras layers and keras.ops"
    )
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        channel_groups(model)
    assert [len(layer._inbound_nodes) for layer in model.layers] == layers_before
    assert model(np.ones((3, 2, 4), "float32")).shape == (3, 2, 3)


def test_call_of_several_arguments_is_refused():
    class Sum(keras.Model):
        def call(self, one, other):
            return one + other

    model = Sum()
    model(np.ones((3, 4)), np.ones((3, 4)))
    with pytest.raises(keras_snare.UnsupportedModelError, match="subclassed"):
        channel_groups(model)


def test_functional_model_with_a_call_of_its_own_is_read():
    class Doubled(keras.Model):
        def call(self, inputs):
            return 2 * super().call(inputs)

    inputs = keras.Input((6,))
    hidden = layers.Dense(5, name="hidden")(inputs)
    model = Doubled(inputs, layers.Dense(3, name="last")(hidden))
    assert channel_groups(model)["hidden"].prunable
    keras_snare.shrink(model, {"hidden": [0, 2]})
    assert model(np.ones((2, 6), "float32")).shape == (2, 3)


STATED = {
    "reshape": lambda x: ops.reshape(x, (-1, 2, 6)),
    "reshape to heads": lambda x: ops.reshape(ops.reshape(x, (-1, 2, 2, 3)), (-1, 2, 6)),
    "slices": lambda x: x[..., :3] * x[..., 3:],
    "split at": lambda x: ops.split(x, [2], axis=-1)[1],
    "broadcast": lambda x: ops.broadcast_to(x, (3, 2, 6)),
}
DERIVED = {
    "reshape by the shape": lambda x: ops.reshape(x, (-1, *x.shape[1:])),
    "slices by the shape": lambda x: x[..., : x.shape[-1] // 2] * x[..., x.shape[-1] // 2 :],
}
# These say nothing of the width.
SILENT = {
    "split in parts": lambda x: ops.add(*ops.split(x, 2, axis=-1)),
    "slice of positions": lambda x: x[:, :1],
    "swapped axes": lambda x: ops.swapaxes(ops.swapaxes(x, 1, 2), 1, 2),
}
EVERY = STATED | DERIVED | SILENT


@pytest.mark.parametrize("function", EVERY.values(), ids=EVERY)
def test_what_is_offered_can_be_cut(function):
    model = called(function)
    inputs = np.ones((3, 2, 4), "float32")
    expected = model(inputs).shape
    keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    assert model(inputs).shape == expected


@pytest.mark.parametrize("function", SILENT.values(), ids=SILENT)
def test_what_says_nothing_of_the_width_is_offered(function):
    assert channel_groups(called(function))["unit"].prunable


def test_layer_that_states_a_width_is_changed_with_it():
    model = called(layers.Reshape((2, 6)))
    keras_snare.shrink(model, {"unit": [0, 3]})
    assert model.function.target_shape == (2, 2)
    assert model(np.ones((3, 2, 4), "float32")).shape == (3, 2, 3)


def test_weights_of_the_model_itself_hold_what_they_meet():
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.unit = layers.Dense(5, name="unit")
            self.last = layers.Dense(3, name="last")

        def build(self, shape):
            self.scale = self.add_weight(shape=(5,), name="scale")
            self.unit.build(shape)
            self.last.build((None, 5))

        def call(self, inputs):
            return self.last(self.unit(inputs) * self.scale)

    model = Scaled()
    model(np.ones((2, 4), "float32"))
    reason = channel_groups(model)["unit"].reason
    assert reason == "multiply joins it with a tensor of fixed width"

    assert keras_snare.cost(model).params == model.count_params()
