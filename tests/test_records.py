"""Plans and reports as data."""

import json

import numpy as np
import pytest
from training import dense_model

import keras_snare
from keras_snare.errors import InvalidPlanError
from keras_snare.records import PrunePlan, PruneReport, WidthChange


@pytest.mark.parametrize(
    "keep",
    [{}, {"conv1": [4, 0]}, {"a": (1,), "b": range(3)}, {"a": np.array([2, 0])}, {3: [1]}],
    ids="empty list tuple array number".split(),
)
def test_plan_round_trip(keep):
    plan = PrunePlan(keep)
    again = PrunePlan.from_json(plan.to_json())
    assert again == plan
    assert again.keep == {str(name): tuple(sorted(map(int, kept))) for name, kept in keep.items()}


def test_plan_is_plain_json():
    assert json.loads(PrunePlan({"a": np.array([2, 0])}).to_json()) == {"keep": {"a": [0, 2]}}


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ([0, 1], "A plan is a mapping from layer names to the unit indices to keep. Received: "),
        (None, "Received: None"),
        ({"a": 3}, "names the unit indices to keep.* Received for layer 'a': 3. Give a list"),
        ({"a": "12"}, "Received for layer 'a': '12'"),
        ({"a": {0: 1}}, "Received for layer 'a': {0: 1}. Give a list"),
        ({"a": [0.5]}, "Unit indices are integers. Received for layer 'a': 'float'"),
        ({"a": ["0"]}, "Unit indices are integers. Received for layer 'a'"),
        ({"a": [True, False]}, "Unit indices are integers. Received for layer 'a'"),
        ({"a": np.array([True, False])}, "Unit indices are integers. Received for layer 'a'"),
        ({"a": [1, 0, 1]}, "may stand once in a plan. Received for layer 'a': repeated indices"),
    ],
    ids="list none number text mapping float string bools mask repeated".split(),
)
def test_plan_errors(keep, message):
    with pytest.raises(InvalidPlanError, match=message):
        PrunePlan(keep)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", '{"kept": {}}', None, 3, {"keep": {}}, b"{}"],
    ids="none open list number empty other None a_number mapping bytes".split(),
)
def test_a_text_that_is_no_plan(text):
    with pytest.raises(InvalidPlanError, match="A stored plan is a JSON object with `keep`"):
        PrunePlan.from_json(text)


def test_a_stored_plan_is_checked_like_any():
    with pytest.raises(InvalidPlanError, match="repeated indices"):
        PrunePlan.from_json('{"keep": {"a": [1, 1]}}')


FIRST = PrunePlan({"conv1": [0, 2, 5], "conv2": [1]})


def test_plans_one_after_the_other_do_the_same_in_one():
    units = np.arange(6)
    for later in ({"conv1": [1, 2]}, PrunePlan({"conv1": [2, 0, 1], "dense": [4]}), {}):
        both = FIRST.then(later).keep
        again = PrunePlan(later).keep if isinstance(later, dict) else later.keep
        left = units[[0, 2, 5]]
        assert both["conv1"] == tuple(left[list(again.get("conv1", range(3)))])
        assert both["conv2"] == (1,)
        assert both.get("dense") == again.get("dense")
    assert FIRST.keep == {"conv1": (0, 2, 5), "conv2": (1,)}


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (PrunePlan({"conv1": [1, 3]}), "layer 'conv1' units 0 to 2. Received .* 1 to 3. Count"),
        ({"conv2": [1]}, "leaves layer 'conv2' units 0 to 0. Received .* indices 1 to 1"),
        (PrunePlan({"conv1": [-1, 1]}), "Received of the later plan the indices -1 to 1"),
        (None, "A plan is a mapping from layer names .*Received: None"),
        ("conv1", "A plan is a mapping from layer names .*Received: 'conv1'"),
        ([0, 1], r"A plan is a mapping from layer names .*Received: \[0, 1\]"),
        ({"conv1": 2}, "names the unit indices to keep.* Received for layer 'conv1': 2"),
        ({"conv1": [0.5]}, "Unit indices are integers. Received for layer 'conv1'"),
    ],
    ids="unit single negative None text list number float".split(),
)
def test_a_later_plan_that_does_not_fit_is_refused(later, message):
    with pytest.raises(InvalidPlanError, match=message):
        FIRST.then(later)


def test_prune_report_ratios_and_text():
    changes = (WidthChange("conv1", 8, 3), WidthChange("dense", 10, 9))
    report = PruneReport(changes, 1_000, 400, 50_000, 20_000, PrunePlan({"conv1": [0, 1, 2]}))
    assert (report.params_ratio, report.flops_ratio) == (2.5, 2.5)
    assert str(report).splitlines() == [
        "conv1: 8 -> 3",
        "dense: 10 -> 9",
        "parameters 1,000 -> 400 (2.50 times fewer)",
        "FLOPs 50,000 -> 20,000 (2.50 times fewer)",
    ]
    assert json.loads(report.to_json()) == {
        "changes": [
            {"layer": "conv1", "before": 8, "after": 3},
            {"layer": "dense", "before": 10, "after": 9},
        ],
        "params_before": 1_000,
        "params_after": 400,
        "flops_before": 50_000,
        "flops_after": 20_000,
        "keep": {"conv1": [0, 1, 2]},
    }


def test_the_plan_of_a_report_repeats_the_cut():
    model, twin = dense_model(), dense_model()
    twin.set_weights(model.get_weights())
    report = keras_snare.prune(model, 0.5)
    plan = PrunePlan(json.loads(report.to_json())["keep"])
    keras_snare.shrink(twin, plan)
    assert report.params_after == twin.count_params()
    assert all(map(np.array_equal, model.get_weights(), twin.get_weights()))
