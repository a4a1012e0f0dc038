"""After a cut, what a model says of itself is what a model says that was built that narrow."""

import cuts
import keras
import models
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_snare
from keras_snare.graph import channel_groups, trace
from keras_snare.graph.rules import OPERATIONS, RULES
from keras_snare.surgery.attributes import ATTRIBUTES

PLAIN = (bool, int, float, str, type(None), keras.layers.InputSpec)
# Where a layer hangs, whether and on what it was called and which attributes were set; not how wide
# it is.
ELSEWHERE = ("kernel_shape", "_parent_path", "_path", "_called", "_losses", "_tracked")


def rebuilt(model):
    """A new model from the cut one's configuration."""
    return type(model).from_config(model.get_config())


def attributes_of(layer):
    """What a layer holds in plain values, and the shapes it was built with."""
    held = {
        name: repr(value)
        for name, value in vars(layer).items()
        if name not in ELSEWHERE
        and all(isinstance(one, PLAIN) for one in keras.tree.flatten(value))
    }
    return held | {"build config": layer.get_build_config()}


def _outputs(layer):
    return [tensor for node in layer._inbound_nodes for tensor in node.outputs]


def summary_of(model):
    lines = []
    model.summary(print_fn=lines.append, line_length=100)
    return "\n".join(lines)


def check_what_it_says(name, model):
    """Compares a cut model with one that its configuration builds, and with what it computes."""
    narrow = rebuilt(model)
    for layer, other in zip(model.layers, narrow.layers, strict=True):
        # A nested model notes its shapes when it is called, not when its configuration builds it.
        if not isinstance(layer, keras.Model):
            assert attributes_of(layer) == attributes_of(other), layer.name
    assert [one.shape for one in model.weights] == [one.shape for one in narrow.weights]
    assert model.output_shape == narrow.output_shape
    assert model.input_shape == narrow.input_shape
    assert summary_of(model) == summary_of(narrow)
    assert model.count_params() == narrow.count_params()
    graph = trace(model)
    check_symbolic_shapes(graph)
    if name != "channels_first_3d":  # XLA compiles it for seconds per width.
        check_computed_shapes(model, graph)


def check_symbolic_shapes(graph):
    """Every tensor has the shape that its layer computes from the shapes of its inputs."""
    for call in graph.calls:
        args, kwargs = call.filled({key: tensors[0] for key, tensors in graph.tensors.items()})
        expected = call.operation.compute_output_spec(*args, **kwargs)
        shapes = [tuple(one.shape) for one in keras.tree.flatten(expected)]
        assert [graph.shape(key) for key in call.outputs] == shapes, call.name


def check_computed_shapes(model, graph):
    """Every tensor has the shape that comes out when the model runs."""
    seen = {}

    def read(call, key, value):
        seen[key] = tuple(value.shape)
        return value

    graph.run(keras.tree.flatten(models.inputs_for(model)), read)
    for key, shape in seen.items():
        known = zip(shape[1:], graph.shape(key)[1:], strict=True)
        assert all(stated in (None, size) for size, stated in known)


@pytest.mark.parametrize("name", models.SMALL)
def test_model_says_what_a_narrow_one_says(name):
    model = models.build(name)
    groups = channel_groups(model)

    # Built once; each cut is undone, which has tests of its own. Half the units go first.
    @given(plan=st.just(cuts.halves(groups)) | cuts.plans(groups))
    @settings(max_examples=2)
    def each(plan):
        undo = keras_snare.shrink(model, plan)
        try:
            check_what_it_says(name, model)
        finally:
            undo.restore()

    each()


@pytest.mark.parametrize("name", ["dense", "incremental", "conv_2d"])
def test_layers_answer_with_their_new_shapes(name):
    model = models.build(name)
    first = model.layers[0]
    keras_snare.shrink(model, {first.name: [0, 2]})
    assert first.output.shape[-1] == 2
    follower = model.layers[1]
    assert follower.input.shape[-1] == 2
    assert tuple(follower.input.shape) == tuple(first.output.shape)


def test_earlier_graphs_of_an_incremental_model_follow():
    model = models.build("incremental")
    keras_snare.shrink(model, {"conv": [0, 2], "hidden": [1]})
    widths = {
        layer.name: {shape[-1] for shape in map(tuple, (one.shape for one in _outputs(layer)))}
        for layer in model.layers
    }
    assert set(map(len, widths.values())) == {1}
    assert widths["conv"] == widths["batch_normalization"] == {2}
    assert widths["hidden"] == {1}


def test_model_from_cut_layers_is_narrow():
    model = models.build("residual")
    keras_snare.shrink(model, {"stem": [0, 3], "inner": [1]})
    features = keras.Model(model.input, model.get_layer("join").output)
    assert features.output_shape == (None, 5, 5, 2)
    assert features(models.inputs_for(model)).shape == (4, 5, 5, 2)


def test_layers_can_be_added_to_a_cut_model():
    model = models.build("dense")
    keras_snare.shrink(model, {"first": [0, 3], "second": [1]})
    model.add(keras.layers.Dense(2, name="more"))
    assert model.output_shape == (None, 2)
    assert [layer.output.shape[-1] for layer in model.layers] == [2, 1, 3, 2]
    assert model(models.inputs_for(model)).shape == (4, 2)


def test_inputs_of_the_old_width_are_refused_by_the_layer():
    model = models.build("dense")
    keras_snare.shrink(model, {"first": [0, 3]})
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 2"):
        model.get_layer("second")(np.zeros((1, 5)))


@pytest.mark.parametrize("name", ["residual", "reshape_apart", "prelu", "dropout_noise_shape"])
def test_cutting_and_undoing_again_and_again_leaves_nothing_behind(name):
    model = models.build(name)
    plan = cuts.halves(channel_groups(model))
    sizes = []
    for _ in range(3):
        keras_snare.shrink(model, plan).restore()
        held = [value for layer in model.layers for value in vars(layer).values()]
        sizes.append([len(value) for value in held if isinstance(value, (list, dict, set))])
    assert sizes[0] == sizes[1] == sizes[2]


def test_attributes_are_restored_with_the_types_that_they_had():
    model = models.build("reshape_apart")
    before = {layer.name: attributes_of(layer) for layer in model.layers}
    keras_snare.shrink(model, {"conv": [0], "over_time": [1, 2]}).restore()
    assert {layer.name: attributes_of(layer) for layer in model.layers} == before


@pytest.mark.parametrize("kind", ATTRIBUTES, ids=str)
def test_every_row_of_attributes_has_a_rule(kind):
    # The rule of a recurrent layer is that of its cell, too.
    cell = isinstance(kind, type) and kind.__name__.endswith("Cell")
    assert kind in RULES or kind in OPERATIONS or cell
