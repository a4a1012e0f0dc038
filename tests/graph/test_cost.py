"""Parameters and floating-point operations: by hand, against Keras and against TensorFlow."""

import json

import cuts
import keras
import known_models
import models
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_snare
from keras_snare.graph import channel_groups, group_sizes, model_cost, saving
from keras_snare.surgery import removed_channels

layers = keras.layers


def flops_of(model, layer):
    return next(row.flops for row in keras_snare.cost(model).layers if row.layer == layer.name)


# What stands after the comma is worked out by hand.
COUNTED = {
    "dense": (lambda: ((4,), layers.Dense(8)), 2 * 4 * 8 + 8),
    "dense without bias": (lambda: ((4,), layers.Dense(8, use_bias=False)), 2 * 4 * 8),
    "dense at every step": (lambda: ((3, 4), layers.Dense(8)), 3 * (2 * 4 * 8 + 8)),
    "dense at unknown steps": (lambda: ((None, 4), layers.Dense(8)), 2 * 4 * 8 + 8),
    "convolution": (lambda: ((5, 5, 2), layers.Conv2D(3, 2)), 16 * (2 * 4 * 2 * 3 + 3)),
    "strides": (lambda: ((5, 5, 2), layers.Conv2D(3, 2, strides=3)), 4 * (2 * 4 * 2 * 3 + 3)),
    "dilation": (lambda: ((5, 2), layers.Conv1D(3, 2, dilation_rate=3)), 2 * (2 * 2 * 2 * 3 + 3)),
    "channels first": (
        lambda: ((2, 5), layers.Conv1D(3, 2, data_format="channels_first")),
        4 * (2 * 2 * 2 * 3 + 3),
    ),
    "groups": (lambda: ((5, 4), layers.Conv1D(6, 2, groups=2)), 4 * (2 * 2 * 2 * 6 + 6)),
    "batch normalisation": (lambda: ((5, 4), layers.BatchNormalization()), 2 * 5 * 4),
    "layer normalisation": (lambda: ((5, 4), layers.LayerNormalization()), 8 * 5 * 4),
    "max pooling": (lambda: ((4, 4, 3), layers.MaxPooling2D(2)), 4 * 3 * 4),
    "average pooling": (lambda: ((6, 3), layers.AveragePooling1D(3)), 2 * 3 * 3),
    "global pooling": (lambda: ((6, 3), layers.GlobalMaxPooling1D()), 6 * 3),
    "activation": (lambda: ((6, 3), layers.Activation("relu")), 6 * 3),
    "softmax": (lambda: ((6,), layers.Softmax()), 6),
    "reshape": (lambda: ((6,), layers.Reshape((2, 3))), 0),
    "no rule": (lambda: ((6,), layers.Masking()), 0),
}


@pytest.mark.parametrize(("build", "expected"), COUNTED.values(), ids=COUNTED)
def test_flops_by_hand(build, expected):
    shape, layer = build()
    assert flops_of(models.chain(shape, layer), layer) == expected


def test_add_counts_one_for_each_operand_but_the_first():
    inputs = [keras.Input((2, 3)) for _ in range(3)]
    layer = layers.Add()
    assert flops_of(keras.Model(inputs, layer(inputs)), layer) == 2 * 2 * 3


def test_shared_layer_counts_its_weights_once_and_its_work_per_call():
    model = models.SMALL["shared_dense"]()
    row = next(row for row in keras_snare.cost(model).layers if row.layer == "shared")
    assert (row.params, row.flops) == (6 * 5 + 5, 2 * (2 * 6 * 5 + 5))


def test_bytes_follow_the_stored_type():
    halves = models.chain((4,), layers.Dense(8, dtype="bfloat16"), layers.Dense(2, dtype="float64"))
    assert [row.bytes for row in keras_snare.cost(halves).layers] == [2 * 40, 8 * 18]


@pytest.mark.parametrize("name", models.SMALL)
def test_params_are_those_that_keras_counts(name):
    model = models.SMALL[name]()
    found = keras_snare.cost(model)
    assert found.params == model.count_params()
    top = {row.layer: row.params for row in found.layers if row.params and "/" not in row.layer}
    assert top == {
        layer.name: layer.count_params()
        for layer in model.layers
        if layer.weights and not isinstance(layer, keras.Model)
    }


def profiled_flops(model):
    """What TensorFlow's profiler counts in the graph of one example."""
    call = tf.function(lambda inputs: model(inputs, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:])))
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    # Freezing the variables first changes nothing in the figures and takes ten seconds on VGG16.
    return tf.compat.v1.profiler.profile(concrete.graph, options=options).total_float_ops


@pytest.mark.parametrize("name", ["lenet5", "resnet8", "vgg16"])
def test_costs_of_known_networks_agree_with_keras_and_tensorflow(name):
    model = getattr(known_models, name)()
    found = keras_snare.cost(model)
    assert found.params == model.count_params()
    assert found.flops == pytest.approx(profiled_flops(model), rel=0.01)


def test_costs_of_known_networks_are_those_of_the_literature():
    assert keras_snare.cost(known_models.lenet5()).params == 61_706
    # MLPerf Tiny gives 78,666 parameters and 12.5 million multiply-adds.
    resnet = keras_snare.cost(known_models.resnet8())
    assert resnet.params == 78_666
    assert resnet.flops == pytest.approx(2 * 12.5e6, rel=0.02)


@pytest.mark.parametrize("name", models.SMALL)
@given(data=st.data())
@settings(max_examples=2)
def test_saving_is_the_difference_that_a_cut_makes(name, data):
    model = models.SMALL[name]()
    groups = channel_groups(model)
    before = model_cost(groups)
    plan = data.draw(cuts.plans(groups))
    saved_params, saved_flops = saving(groups, removed_channels(groups, plan))
    keras_snare.shrink(model, plan)
    after = keras_snare.cost(model)
    assert after.params == before.params - saved_params == model.count_params()
    assert after.flops == before.flops - saved_flops


def test_group_sizes_are_what_removing_all_of_a_group_would_save():
    groups = channel_groups(models.dense())
    sizes = group_sizes(groups)
    assert list(sizes) == ["first", "second"]
    first = sizes["first"]
    assert (first.width, first.params) == (5, 6 * 5 + 5 + 5 * 4)
    assert first.flops == 2 * 6 * 5 + 5 + 2 * 5 * 4


def test_cost_prints_a_row_per_layer_and_the_total():
    text = str(keras_snare.cost(models.dense()))
    rows = [line.split() for line in text.splitlines()]
    assert text.splitlines()[1].split()[1::2] == ["layer", "parameters", "FLOPs", "bytes"]
    assert ["first", "35", "65", "140"] in [row[1::2] for row in rows]
    assert "in all" in text


def test_cost_to_json():
    figures = json.loads(keras_snare.cost(models.dense()).to_json())
    assert figures["params"] == sum(layer["params"] for layer in figures["layers"])
    assert figures["layers"][0] == {"layer": "first", "params": 35, "flops": 65, "bytes": 140}
