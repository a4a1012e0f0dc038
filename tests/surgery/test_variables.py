"""Resizing variables, and the private names of Keras that it stands on."""

import keras
import models
import numpy as np
import pytest

from keras_snare.surgery import variables

layers = keras.layers


def variable(dtype="float32"):
    return keras.Variable(np.arange(6).reshape(2, 3), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64", "int8"])
def test_resize_keeps_positions_and_type(dtype):
    one = variable(dtype)
    variables.resize(one, {0: np.array([1]), 1: np.array([0, 2])})
    assert one.numpy().astype("float32").tolist() == [[3.0, 5.0]]
    assert (tuple(one.shape), one.ndim, one.dtype) == ((1, 2), 2, dtype)
    one.assign(one + keras.ops.ones_like(one))
    assert one.numpy().astype("float32").tolist() == [[4.0, 6.0]]


def test_resize_leaves_the_old_object_as_it_was():
    one = variable()
    old = variables.value_object(one)
    variables.resize(one, {1: np.array([1])})
    assert variables.value_object(one) is not old
    assert old.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    variables.put_back(one, old)
    assert one.value is old
    assert (tuple(one.shape), one.ndim) == ((2, 3), 2)


def test_resized_variable_stays_trainable_and_keeps_its_name():
    layer = layers.Dense(3)
    layer.build((None, 2))
    path = layer.kernel.path
    variables.resize(layer.kernel, {1: np.array([0])})
    assert layer.kernel.trainable
    assert layer.kernel.value.trainable
    assert layer.kernel.path == path
    assert layer.trainable_variables[0] is layer.kernel


def test_variable_that_does_not_train_stays_so():
    layer = layers.BatchNormalization()
    layer.build((None, 4))
    variables.resize(layer.moving_mean, {0: np.array([0])})
    assert not layer.moving_mean.trainable
    assert not layer.moving_mean.value.trainable


def test_rebuilt_shapes_keep_the_structure_of_what_was_recorded():
    inputs = keras.Input((4,))
    dense, add = layers.Dense(3), layers.Add()
    add([dense(inputs), layers.Dense(3)(inputs)])
    assert variables.rebuilt_shapes(dense, [(None, 2)], {}) == {"input_shape": (None, 2)}
    expected = {"input_shape": [(None, 2), (None, 2)]}
    assert variables.rebuilt_shapes(add, [(None, 2), (None, 2)], {}) == expected
    assert variables.rebuilt_shapes(layers.Dense(2), [(None, 2)], {}) is None


def test_rebuilt_shapes_follow_the_names_of_arguments():
    query, value = keras.Input((4, 6)), keras.Input((5, 3))
    attention = layers.MultiHeadAttention(2, 3)
    attention(query, value)
    shapes = [(None, 4, 2), (None, 5, 1)]
    found = variables.rebuilt_shapes(attention, shapes, {"query": 0, "value": 1})
    assert found["query_shape"] == (None, 4, 2)
    assert found["value_shape"] == (None, 5, 1)


def test_build_shapes_are_a_copy():
    layer = layers.Dense(3)
    layer.build((None, 4))
    variables.build_shapes(layer)["input_shape"] = "another"
    assert layer.get_build_config() == {"input_shape": (None, 4)}
    variables.set_build_shapes(layer, {"input_shape": (None, 2)})
    assert layer.get_build_config() == {"input_shape": (None, 2)}


# Each private name that surgery/variables.py stands on, with the form that it relies on.


def test_keras_variable_holds_its_value_and_shape():
    one = variable()
    assert one._value is one.value
    assert tuple(one._shape) == tuple(one.shape) == (2, 3)
    assert one._ndim == one.ndim == 2
    one._shape, one._ndim = (3,), 1
    assert tuple(one.shape) == (3,)
    assert one.ndim == 1


def test_keras_variable_can_be_initialized_again():
    one = variable()
    one._shape = (2,)
    one._initialize(np.array([7.0, 8.0]))
    assert one.numpy().tolist() == [7, 8]
    assert one.value is one._value
    assert str(one.value.dtype.name) == "float32"


def test_keras_refuses_another_shape_in_public():
    with pytest.raises(ValueError, match="shape"):
        variable().assign(np.zeros((1, 3)))


def test_keras_tensor_holds_its_shape():
    tensor = keras.Input((3,))
    tensor._shape = (None, 2)
    assert tuple(tensor.shape) == (None, 2)


def test_keras_layer_records_the_shapes_it_was_built_with():
    layer = layers.Dense(3)
    assert layer._build_shapes_dict is None
    layer.build((None, 4))
    assert dict(layer._build_shapes_dict) == {"input_shape": (None, 4)}
    assert layer.get_build_config() == {"input_shape": (None, 4)}


def test_keras_functional_model_keeps_its_graph_under_known_names():
    model, other = models.build("residual"), models.build("residual")
    graph = variables.graph_of(model)
    assert set(graph) == set(variables._GRAPH)
    changed = {name for name in vars(model) if name in graph}
    # Properties would be without effect when they are set on the instance.
    assert changed == set(graph)
    variables.put_back_graph(model, variables.graph_of(other))
    assert model.inputs[0] is other.inputs[0]
    assert model.outputs[0] is other.outputs[0]
    assert model.input is other.input
    assert model.layers == other.layers
    inputs = models.inputs_for(model)
    np.testing.assert_array_equal(model(inputs), other(inputs))
    variables.put_back_graph(model, graph)
    assert model.layers != other.layers


def test_keras_functional_model_holds_nothing_else_of_its_graph():
    """A new attribute of Keras that holds nodes, tensors or layers would have to be swapped too."""
    model = models.build("residual")
    held = {
        name
        for name, value in vars(model).items()
        if _holds_graph(value) and not name.startswith("_self_")
    }
    # The layers that own the weights stay; a layer that is put in between has none.
    assert held - set(variables._GRAPH) == {"_layers"}


def _holds_graph(value):
    found = keras.tree.flatten(value) if not isinstance(value, dict) else list(value.values())
    parts = [part for one in found for part in (one if isinstance(one, list) else [one])]
    kinds = (keras.KerasTensor, keras.Layer)
    return any(isinstance(part, kinds) or type(part).__name__ == "Node" for part in parts)
