"""What is cut together with what."""

import keras
import models
import pytest

import keras_snare
from keras_snare.graph import PRODUCER, READER, THROUGH

layers = keras.layers


def groups_of(name):
    return keras_snare.channel_groups(models.SMALL[name]())


def members(group, role):
    """Where a group lies: layer, axis of its variable, channels at the axis's positions."""
    return [
        (one.binding.layer.name, one.binding.axis, one.channels.tolist())
        for one in group.with_role(role)
    ]


def test_dense_channels_are_columns_biases_and_the_next_rows():
    group = groups_of("dense")["first"]
    every = list(range(5))
    assert group.width == 5
    assert members(group, PRODUCER) == [("first", 1, every), ("first", 0, every)]
    assert members(group, READER) == [("second", 0, every)]
    assert members(group, THROUGH) == []


def test_layer_without_bias_has_the_kernel_only():
    assert members(groups_of("dense")["second"], PRODUCER) == [("second", 1, [0, 1, 2, 3])]


def test_flatten_repeats_the_channels_in_the_rows_of_the_reader():
    group = groups_of("incremental")["conv"]
    assert members(group, READER) == [("hidden", 0, [0, 1, 2, 3] * 16)]


def test_flatten_of_channels_first_orders_the_rows_as_keras_does():
    groups = groups_of("channels_first_2d")
    last = groups.prunable()[-1]
    rows = members(last, READER)[0][2]
    assert rows[:8] == [0, 1, 2, 3] * 2
    assert len(rows) % 4 == 0


def test_normalisation_follows_its_channels():
    group = groups_of("residual")["inner"]
    through = [(layer, channels) for layer, _, channels in members(group, THROUGH)]
    assert through == [("inner_norm", [0, 1, 2, 3])] * 4


def test_add_couples_its_operands():
    groups = groups_of("residual")
    assert groups["stem"] is groups["branch"]
    assert groups["stem"].layers == ("stem", "branch")
    assert groups["inner"].layers == ("inner",)


def test_add_couples_across_broadcasting():
    assert groups_of("add_broadcast")["wide"].layers == ("wide", "gate")
    assert set(groups_of("add_vector")["sequence"].layers) == {"sequence", "vector"}


def test_concatenate_keeps_its_operands_apart_with_offsets():
    groups = groups_of("concatenated")
    assert groups["left"] is not groups["right"]
    # Between the two lie the two channels of the input.
    nothing = [-1, -1]
    left = [0, 1, 2, 3, *nothing, -1, -1, -1]
    right = [-1, -1, -1, -1, *nothing, 0, 1, 2]
    assert members(groups["left"], READER) == [("mixed", -2, left)]
    assert members(groups["right"], READER) == [("mixed", -2, right)]
    assert {tuple(place[2]) for place in members(groups["right"], THROUGH)} == {tuple(right)}


def test_concatenate_with_a_fixed_tensor_leaves_the_others_free():
    groups = groups_of("concatenated")
    assert groups["left"].prunable
    assert groups["right"].prunable
    assert groups["left"].reasons == groups["right"].reasons == {}


def test_concatenate_along_time_couples_its_operands():
    assert groups_of("concatenated_in_time")["early"].layers == ("early", "late")


def test_concatenate_and_add_make_one_group_of_parts():
    group = groups_of("partly_coupled")["whole"]
    assert set(group.layers) == {"left", "right", "whole"}
    assert group.width == 7


def test_units_tell_which_channel_each_unit_of_a_layer_is():
    groups = groups_of("partly_coupled")
    whole = groups.units("whole").tolist()
    assert groups.units("left").tolist() + groups.units("right").tolist() == whole


def test_shared_layer_is_one_group_read_by_both_calls():
    group = groups_of("shared_dense")["shared"]
    every = list(range(5))
    assert group.layers == ("shared",)
    assert group.width == 5
    assert members(group, READER) == [("reader", 0, every)] * 2


def test_layer_on_its_own_output_couples_its_inputs_and_outputs():
    group = groups_of("recurrent_use")["again"]
    assert set(group.layers) == {"start", "again"}
    assert group.width == 5


def test_tensor_that_is_concatenated_twice_is_cut_twice():
    group = groups_of("same_tensor_twice")["unit"]
    assert group.width == 4
    assert group.prunable
    assert members(group, READER) == [("last", 0, [0, 1, 2, 3])]


def test_reshape_that_keeps_channels_apart_passes_them_on():
    groups = groups_of("reshape_apart")
    assert [group.name for group in groups.prunable()] == ["conv", "over_time"]
    assert members(groups["conv"], READER) == [("over_time", -2, [0, 1, 2, 3, 4])]


def test_groups_come_in_the_order_of_the_graph_and_by_any_of_their_layers():
    groups = groups_of("residual")
    assert [group.name for group in groups] == ["stem", "inner", "last"]
    assert len(groups) == 3
    assert "branch" in groups
    assert "join" not in groups
    with pytest.raises(KeyError, match=r"No layer named 'join' .* stem, branch, inner, last"):
        groups["join"]


def test_groups_of_a_model_without_units():
    groups = keras_snare.channel_groups(models.chain((3,), layers.ReLU()))
    assert list(groups) == []
    with pytest.raises(KeyError, match="Layers that do: none"):
        groups["re_lu"]


def test_printing_counts_channels_that_cannot_be_cut():
    inputs = keras.Input((6,))
    free, held = layers.Dense(2, name="free")(inputs), layers.Dense(3, name="held")(inputs)
    whole = layers.Dense(5, name="whole")(inputs)
    joined = layers.Add()([layers.Concatenate()([free, held]), whole])
    model = keras.Model(inputs, [layers.Dense(1, name="last")(joined), held])
    groups = keras_snare.channel_groups(model)
    assert groups["free"].prunable
    assert groups["free"].free.tolist() == [0, 1]
    text = str(groups)
    assert "└─ 3 of them cannot be cut: its width is the model's output" in text


@pytest.mark.parametrize("name", models.SMALL)
def test_no_weight_is_read(name, monkeypatch):
    model = models.SMALL[name]()

    def refuse(*_args, **_kwargs):
        raise AssertionError("a weight was read")

    for attribute in ("numpy", "__array__", "_convert_to_tensor"):
        monkeypatch.setattr(keras.Variable, attribute, refuse)
    monkeypatch.setattr(keras.Variable, "value", property(refuse))
    with pytest.raises(AssertionError, match="a weight was read"):
        keras.ops.sum(model.weights[0])
    groups = keras_snare.channel_groups(model)
    assert any(group.prunable for group in groups)
    assert keras_snare.cost(model).params > 0
