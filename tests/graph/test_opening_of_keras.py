"""What the laying open of layers stands on; these fail by themselves when Keras changes it."""

import composite_models
import keras
import numpy as np
from keras.src.backend.common import global_state

from keras_snare.graph.opening import Place, calling
from keras_snare.graph.trace import nodes_between

layers, ops = keras.layers, keras.ops


def test_keras_counts_names_in_a_table():
    layers.Add()
    assert global_state.get_global_attribute("object_name_uids")["add"] == 1


def test_keras_lists_the_parts_of_a_layer():
    block = composite_models.Block(name="block")
    parts = block._flatten_layers(include_self=False)
    assert block not in parts
    assert {"attention", "feed", "up", "norm0"} <= {one.name for one in parts}


def test_keras_asks_the_scope_for_values_and_calls_what_an_instance_holds():
    layer = layers.Dense(2)
    layer.build((None, 3))
    asked = []

    class Scope(keras.StatelessScope):
        def get_current_value(self, variable):
            asked.append(variable)
            return super().get_current_value(variable)

    with Scope():
        layer(keras.KerasTensor((None, 3)))
        assert asked == []
        layer(np.ones((1, 3), "float32"))
    assert layer.kernel in asked
    with calling(layer, lambda args, kwargs: ((args[0] * 0,), kwargs)):
        np.testing.assert_array_equal(layer(np.ones((1, 3))), [[0, 0]])
    assert "call" not in vars(layer)
    assert float(ops.sum(ops.abs(layer(np.ones((1, 3)))))) > 0
    layer.call = own = lambda inputs: inputs
    with calling(layer, lambda args, kwargs: ((args[0] * 0,), kwargs)):
        np.testing.assert_array_equal(layer(np.ones((1, 3))), [[0, 0, 0]])
    assert layer.call is own


def test_keras_tensors_know_the_node_that_made_them():
    inputs = keras.KerasTensor((None, 3))
    layer = layers.Dense(3)
    once = layer(inputs)
    twice = layer(once)
    operation, number, _ = twice._keras_history
    assert operation is layer
    assert layer._inbound_nodes[number].outputs[0] is twice
    found = nodes_between([inputs], [twice, once])
    assert [node.outputs[0] is one for node, one in zip(found, (once, twice), strict=True)]


def test_places_are_plain_data():
    assert Place() == Place(recorded=True, within=None)
