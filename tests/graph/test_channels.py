"""Label algebra, by hand on a few labels."""

import numpy as np
import pytest

from keras_snare.graph.channels import ChannelSpace, join_axes, reshape_axes


@pytest.fixture
def space():
    return ChannelSpace()


def roots_of(space, labels):
    return space.roots()[labels].tolist()


def reason_of(space, labels):
    """The reason for each position, None where the channel is free."""
    roots = space.roots()
    reasons = space.reasons(roots)
    return [reasons.get(root) for root in roots[labels].tolist()]


def test_new_labels_are_all_different(space):
    first, second = space.new(2, "first"), space.new(3, "second")
    assert [*first.tolist(), *second.tolist()] == [0, 1, 2, 3, 4]
    assert space.roots().tolist() == [0, 1, 2, 3, 4]


def test_join_gives_equal_positions_one_root(space):
    first, second, third = (space.new(2, name) for name in ("first", "second", "third"))
    space.join(second, third)
    space.join(first, third[::-1])
    assert roots_of(space, first) == [0, 1]
    assert roots_of(space, second) == roots_of(space, third) == [1, 0]


def test_join_of_other_length_is_refused(space):
    with pytest.raises(ValueError, match="zip"):
        space.join(space.new(2, "first"), space.new(3, "second"))


def test_join_across_one_label_merges_channels(space):
    two, one = space.new(2, "two"), space.new(1, "one")
    space.join(two, np.repeat(one, 2))
    assert roots_of(space, two) == [0, 0]


def test_freezing_reaches_what_is_joined_later_and_the_first_reason_is_told(space):
    first, second = space.new(2, "first"), space.new(2, "second")
    space.freeze(first[:1], "early")
    space.freeze(second, "late")
    space.join(first, second)
    assert reason_of(space, first) == ["early", "late"]


def test_model_output_is_told_before_any_other_reason(space):
    labels = space.new(2, "last")
    space.freeze(labels, "something else")
    space.freeze_output({1: labels})
    assert reason_of(space, labels) == ["its width is the model's output"] * 2


def test_freeze_all_freezes_every_axis(space):
    rows, columns = space.new(1, "rows"), space.new(2, "columns")
    space.freeze_all({1: rows, 2: columns}, "a wall")
    assert reason_of(space, rows) + reason_of(space, columns) == ["a wall"] * 3


def test_fixed_labels_belong_to_no_layer(space):
    labels = space.fixed(2, "not ours")
    assert reason_of(space, labels) == ["not ours"] * 2
    assert space.components(space.roots()) == []
    assert space.labels_by_owner() == {}


def test_components_put_dimensions_together_that_share_a_channel(space):
    left, right, whole = space.new(1, "left"), space.new(2, "right"), space.new(3, "whole")
    space.new(2, "apart")
    space.join(np.concatenate([left, right]), whole)
    assert space.components(space.roots()) == [[0, 1, 2], [3]]
    assert [space.owner(dimension) for dimension in (0, 3)] == ["left", "apart"]


def test_components_do_not_meet_through_fixed_labels(space):
    first, second, fixed = space.new(2, "first"), space.new(2, "second"), space.fixed(2, "fixed")
    space.join(first, fixed)
    space.join(second, fixed)
    assert reason_of(space, second) == ["fixed"] * 2
    assert sorted(one for part in space.components(space.roots()) for one in part) == [0, 1]


def test_labels_of_a_shared_layer_are_those_of_its_first_call(space):
    first = space.new(2, "shared")
    space.new(2, "shared")
    assert space.labels_by_owner()["shared"].tolist() == first.tolist()


def test_add_joins_equal_axes(space):
    first, second = space.new(3, "first"), space.new(3, "second")
    shape = (None, 4, 3)
    joined = join_axes(space, [(shape, {2: first}), (shape, {2: second})], "add")
    assert joined == {2: first}
    assert roots_of(space, second) == roots_of(space, first)


@pytest.mark.parametrize(
    ("other_shape", "axis"),
    [((None, 1, 3), 2), ((3,), 0), ((1, 3), 1)],
    ids=["one position", "vector", "row"],
)
def test_add_broadcasts_from_the_last_axis(space, other_shape, axis):
    first, second = space.new(3, "first"), space.new(3, "second")
    operands = [((None, 4, 3), {2: first}), (other_shape, {axis: second})]
    joined = join_axes(space, operands, "add")
    assert list(joined) == [2]
    assert roots_of(space, second) == roots_of(space, first)
    assert reason_of(space, first) == [None] * 3


def test_add_with_a_tensor_of_fixed_width_freezes(space):
    labels = space.new(3, "first")
    join_axes(space, [((None, 3), {1: labels}), ((None, 3), {})], "add")
    assert reason_of(space, labels) == ["add joins it with a tensor of fixed width"] * 3


def test_add_with_one_channel_for_all_keeps_the_wide_one_free(space):
    labels = space.new(3, "first")
    joined = join_axes(space, [((None, 3), {1: labels}), ((None, 1), {})], "add")
    assert joined == {1: labels}
    assert reason_of(space, labels) == [None] * 3


def test_add_freezes_a_single_channel_that_it_spreads(space):
    wide, single = space.new(3, "wide"), space.new(1, "single")
    join_axes(space, [((None, 3), {1: wide}), ((None, 1), {1: single})], "add")
    assert reason_of(space, single) == ["add spreads it over an axis"]
    assert reason_of(space, wide) == [None] * 3


FLATTENED = [
    pytest.param(
        {3: [0, 1, 2]}, (None, 1, 2, 3), (None, 6), {1: [0, 1, 2] * 2}, id="flatten channels last"
    ),
    pytest.param(
        {1: [0, 1, 2]}, (None, 3, 1, 2), (None, 6), {1: [0, 0, 1, 1, 2, 2]}, id="flatten as it lies"
    ),
    pytest.param({3: [0, 1]}, (None, 3, 3, 2), (None, 9, 2), {2: [0, 1]}, id="positions merge"),
    pytest.param({2: [0, 1]}, (None, 9, 2), (None, 3, 3, 2), {3: [0, 1]}, id="positions split"),
    pytest.param(
        {1: [0, 1, 0, 1]}, (None, 4), (None, 2, 2), {2: [0, 1]}, id="repeated channels fold"
    ),
    pytest.param({1: [0, 1]}, (None, 2), (None, 1, 2, 1), {2: [0, 1]}, id="axes of one"),
    pytest.param(
        {1: [0, 1], 2: [2, 3, 4]},
        (None, 2, 3),
        (None, 2, 1, 3),
        {1: [0, 1], 3: [2, 3, 4]},
        id="two axes stay two",
    ),
]


@pytest.mark.parametrize(("axes", "before", "after", "expected"), FLATTENED)
def test_reshape_follows_channels(space, axes, before, after, expected):
    space.new(5, "layer")
    labels = {axis: np.array(values) for axis, values in axes.items()}
    found = reshape_axes(space, labels, before, after, "reshape")
    assert {axis: values.tolist() for axis, values in found.items()} == expected
    assert space.reasons(space.roots()) == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((None, 3, 4), (None, 4, 3)),
        ((None, None, 4), (None, None)),
    ],
    ids=["channels torn", "unknown size before"],
)
def test_reshape_freezes_what_it_does_not_keep_apart(space, before, after):
    labels = space.new(4, "layer")
    axes = {len(before) - 1: labels}
    assert reshape_axes(space, axes, before, after, "reshape") == {}
    assert reason_of(space, labels) == ["reshape does not keep its channels apart"] * 4


def test_reshape_keeps_a_tail_whatever_is_before_it(space):
    labels = space.new(4, "layer")
    found = reshape_axes(space, {2: labels}, (None, 3, 4), (None, None, 4), "reshape")
    assert {axis: one.tolist() for axis, one in found.items()} == {2: labels.tolist()}


@pytest.mark.parametrize(
    ("after", "axis", "kept"), [((None, 2, 3), 2, [0, 1, 2]), ((None, 3, 2), 1, [0, 2, 4])]
)
def test_reshape_couples_channels_that_it_lays_out_in_two_axes(space, after, axis, kept):
    labels = space.new(6, "layer")
    found = reshape_axes(space, {1: labels}, (None, 6), after, "reshape")
    assert {at: one.tolist() for at, one in found.items()} == {axis: kept}
    roots = space.roots()
    assert len(np.unique(roots[labels])) == 3
    spread = roots[labels].reshape(after[1:])
    assert (spread == np.take(spread, [0], axis=2 - axis)).all()


def test_reshape_freezes_two_axes_that_come_to_lie_on_one(space):
    rows, columns = space.new(2, "rows"), space.new(3, "columns")
    reshape_axes(space, {1: rows, 2: columns}, (None, 2, 3), (None, 6), "flatten")
    expected = ["flatten mixes two axes of channels"]
    assert reason_of(space, rows) + reason_of(space, columns) == expected * 5
