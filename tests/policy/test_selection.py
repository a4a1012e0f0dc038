"""Which layers a user means."""

import re

import keras
import pytest
from keras import layers
from training import dense_model, residual_model

from keras_snare import UnsupportedModelError
from keras_snare.graph import channel_groups
from keras_snare.policy import check_layers, select_groups


def _names(model, chosen):
    return [group.name for group in select_groups(channel_groups(model), chosen)]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, ["stem", "inner"]),
        ("inner", ["inner"]),
        (["inner", "stem"], ["stem", "inner"]),
        (("inner",), ["inner"]),
        ({"stem"}, ["stem"]),
        ("outer", ["stem"]),  # coupled to the stem by the addition
        ("st.*", ["stem"]),
        (re.compile("in.*"), ["inner"]),
        (["nothing", re.compile("(inn|out)er")], ["stem", "inner"]),
        (layers.Conv2D, ["stem", "inner"]),
        ([layers.Dense, "inner"], ["inner"]),
        (lambda layer: layer.filters == 3, ["inner"]),
    ],
    ids="all name list tuple set coupled pattern regex mixed class classes predicate".split(),
)
def test_choices(chosen, expected):
    assert _names(residual_model(), chosen) == expected


@pytest.mark.parametrize(
    "chosen",
    ["inne", "digit", re.compile("tem"), layers.LSTM, [], lambda layer: False],
    ids="part_of_a_name output regex class nothing predicate".split(),
)
def test_a_choice_that_matches_nothing_lists_what_there_is(chosen):
    with pytest.raises(ValueError, match="matches no layer.*can be cut: stem, outer, inner"):
        _names(residual_model(), chosen)


@pytest.mark.parametrize("wrong", [3, 0.5, ["stem", 3], [None]], ids=str)
def test_something_else_is_no_choice(wrong):
    with pytest.raises(TypeError, match="`layers` is a layer name, a regular expression, a layer"):
        check_layers(wrong)


@pytest.mark.parametrize(
    "right", [None, "a", re.compile("a"), layers.Dense, callable, ["a", layers.Dense]], ids=str
)
def test_everything_that_is_a_choice_passes(right):
    check_layers(right)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: dense_model(units=()), "digit: its width is the model's output"),
        (lambda: dense_model(units=(1,)), "hidden1: it has a single unit, and one must stay"),
        (
            lambda: keras.Sequential([keras.Input((3,)), layers.Activation("relu")]),
            r"\(no such layer\)",
        ),
    ],
    ids="output single none".split(),
)
def test_a_model_without_a_layer_to_cut_says_why(model, reason):
    with pytest.raises(UnsupportedModelError, match=f"no layer whose units can be cut.*{reason}"):
        _names(model(), None)
