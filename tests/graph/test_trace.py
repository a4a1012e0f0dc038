"""Reading the graph: what is read, what is refused, and the private names it stands on."""

import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.graph import trace
from keras_snare.graph.trace import compiled_functions, recorded_tensors

layers = keras.layers


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.hidden = layers.Dense(4)

    def call(self, inputs):
        return self.hidden(inputs)


def test_unbuilt_sequential_is_refused():
    model = keras.Sequential([layers.Dense(4), layers.Dense(2)], name="unbuilt")
    message = "Model 'unbuilt' has no graph yet. Give it a keras.Input, or call model.build"
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.channel_groups(model)
    model.build((None, 3))
    assert keras_snare.channel_groups(model).prunable()[0].width == 4


def test_subclassed_model_that_was_not_called_is_refused():
    model = Subclassed()
    message = r"Model 'mine' is subclassed \(Subclassed\) and not built yet"
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.cost(model)


@pytest.mark.parametrize(
    ("thing", "name"),
    [(layers.Dense(2), r"keras\..*\.Dense"), (object(), r"builtins\.object"), (None, "NoneType")],
    ids=["layer", "object", "None"],
)
def test_other_objects_are_refused(thing, name):
    message = rf"Expected a Keras 3 model\. Received: .*{name}.*keras.models.load_model"
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.channel_groups(thing)


def test_models_of_the_keras_before_are_told_as_such():
    before = type("Model", (), {"__module__": "tf_keras.src.engine.training"})()
    with pytest.raises(keras_snare.UnsupportedModelError, match="Build models of tf_keras"):
        keras_snare.channel_groups(before)


def test_functional_subclass_is_read():
    class Named(keras.Model):
        pass

    inputs = keras.Input((3,))
    model = Named(inputs, layers.Dense(2)(layers.Dense(4, name="hidden")(inputs)))
    assert keras_snare.channel_groups(model)["hidden"].prunable


def test_calls_come_after_what_they_read():
    graph = trace(models.SMALL["residual"]())
    known = set(graph.inputs)
    for call in graph.calls:
        assert known.issuperset(call.inputs)
        known.update(call.outputs)
    assert known.issuperset(graph.outputs)


def test_tensor_that_is_passed_twice_is_repeated_among_the_arguments():
    graph = trace(models.SMALL["same_tensor_twice"]())
    call = next(call for call in graph.calls if isinstance(call.operation, layers.Add))
    assert len(call.inputs) == 1
    assert call.argument_keys == call.inputs * 2


# Convolutions with channels first are compiled by XLA on a CPU, which takes seconds in 3-D.
RUN = [name for name in models.SMALL if name != "channels_first_3d"]


@pytest.mark.parametrize("name", RUN)
def test_run_computes_what_the_model_computes(name):
    model = models.build(name)
    inputs = models.inputs_for(model)
    graph = trace(model)
    found = graph.run(keras.tree.flatten(inputs), lambda call, key, value: value)
    for one, other in zip(models.arrays(found), models.arrays(model(inputs)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_run_reads_what_the_hook_returns():
    model = models.build("dense")
    inputs = models.inputs_for(model)
    last = model.get_layer("last")

    def silence(call, key, value):
        return value * 0 if call.operation is last else value

    (found,) = trace(model).run([inputs], silence)
    np.testing.assert_array_equal(found, np.tile(last.bias.numpy(), (4, 1)))


def test_run_hands_training_on():
    model = models.chain((3,), layers.BatchNormalization())
    inputs = models.inputs_for(model, 8)
    (trained,) = trace(model).run([inputs], lambda call, key, value: value, training=True)
    np.testing.assert_allclose(np.mean(trained, axis=0), 0.0, atol=1e-5)


def test_recorded_tensors_reach_the_calls_of_earlier_sequential_graphs():
    model = models.incremental()
    recorded = list(recorded_tensors(model.get_layer("conv")))
    assert len(recorded) > 1
    assert {tuple(tensor.shape) for tensor in recorded} == {(None, 4, 4, 4)}


def test_compiled_functions_are_those_that_fit_evaluate_and_predict_use():
    model = models.dense()
    model.compile("sgd", "mse")
    [(owner, functions)] = compiled_functions(model)
    assert owner is model
    assert functions == dict.fromkeys(("train_function", "test_function", "predict_function"))
    x, y = np.zeros((2, 6)), np.zeros((2, 3))
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    [(_, functions)] = compiled_functions(model)
    assert all(callable(function) for function in functions.values())
    assert functions["train_function"] is model.train_function


def test_compiled_functions_are_those_of_inner_models_too():
    inner = models.dense()
    model = keras.Sequential([keras.Input(inner.input_shape[1:]), inner])
    assert {id(owner) for owner, _ in compiled_functions(model)} == {id(model), id(inner)}


# Each private name that graph/trace.py stands on, with the form that it relies on.


def test_keras_sequential_holds_a_functional_model():
    assert keras.Sequential([layers.Dense(2)])._functional is None
    assert isinstance(models.dense()._functional, keras.Model)
    assert isinstance(models.incremental()._functional, keras.Model)


def test_keras_functional_orders_its_nodes_by_depth():
    model = models.SMALL["residual"]()
    by_depth = model._nodes_by_depth
    assert set(by_depth) == set(range(len(by_depth)))
    assert [node.is_input for node in by_depth[max(by_depth)]] == [True]
    assert by_depth[0][0].operation is model.get_layer("last")
    assert by_depth[0][0].outputs[0] is model.outputs[0]


def test_keras_nodes_know_their_tensors_and_arguments():
    inputs = keras.Input((3,))
    layer = layers.BatchNormalization()
    output = layer(inputs, training=False)
    (node,) = layer._inbound_nodes
    assert [id(tensor) for tensor in node.input_tensors] == [id(inputs)]
    assert [id(tensor) for tensor in node.outputs] == [id(output)]
    assert [id(tensor) for tensor in node.arguments.keras_tensors] == [id(inputs)]
    assert node.arguments.fill_in({id(inputs): "value"}) == (("value",), {"training": False})


@pytest.mark.parametrize(
    ("layer", "expected"), [(layers.Dropout(0.5), True), (layers.ReLU(), False)], ids=type
)
def test_keras_layers_tell_whether_they_take_training(layer, expected):
    assert layer._call_has_training_arg is expected
