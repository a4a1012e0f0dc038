"""SNARE's search against runs that were worked out by hand."""

import math

import pytest

from keras_snare.policy import Proposal, SnarePolicy
from keras_snare.records import GroupSize

ACCEPT, REJECT = True, False
UNITS_ONLY = {"beta": 0.0, "gamma": 0.0}

# Name: options, widths at first, then (layer, share, units to remove, verdict) until the end.
RUNS = {
    "halves_until_the_step_is_too_small": (
        {},
        {"a": 100},
        [
            ("a", 0.64, 64, REJECT),
            ("a", 0.32, 32, REJECT),
            ("a", 0.16, 16, REJECT),
            ("a", 0.08, 8, REJECT),
        ],
    ),
    "keeps_its_step_when_accepted": (
        {},
        {"a": 100},
        [
            ("a", 0.64, 64, ACCEPT),  # 36 left
            ("a", 0.64, 23, ACCEPT),  # 13
            ("a", 0.64, 8, ACCEPT),  # 5
            ("a", 0.64, 3, ACCEPT),  # 2
            ("a", 0.64, 1, ACCEPT),  # 1, and one stays
        ],
    ),
    # Score times step, a against b:
    "goes_to_the_greatest_score_times_step": (
        UNITS_ONLY,
        {"a": 100, "b": 40},
        [
            ("a", 0.64, 64, REJECT),  # .457 > .183
            ("a", 0.32, 32, REJECT),  # .229 > .183
            ("b", 0.64, 25, ACCEPT),  # .114 < .183, 15 left of 115
            ("a", 0.16, 16, ACCEPT),  # .139 > .083, 84 left of 99
            ("a", 0.16, 13, REJECT),  # .136 > .097
            ("b", 0.64, 9, REJECT),  # .068 < .097
            ("a", 0.08, 6, REJECT),  # .068 > .048
            ("b", 0.32, 4, REJECT),  # a has left the search
            ("b", 0.16, 2, REJECT),
            ("b", 0.08, 1, REJECT),
        ],
    ),
    "skips_what_was_just_refused": (
        {},
        {"a": 12},
        [("a", 0.64, 7, REJECT), ("a", 0.32, 3, REJECT), ("a", 0.16, 1, REJECT)],
    ),
    "skips_several_steps": ({}, {"a": 3}, [("a", 0.64, 1, REJECT)]),
    "leaves_a_single_unit_alone": ({}, {"a": 1, "b": 2}, [("b", 0.64, 1, ACCEPT)]),
    "has_nothing_to_do": ({}, {"a": 1}, []),
    "has_no_layer": ({}, {}, []),
    "takes_one_step_only": (
        {"first_step": 0.5, "min_step": 0.5},
        {"a": 10, "b": 8},
        [("a", 0.5, 5, REJECT), ("b", 0.5, 4, REJECT)],
    ),
    "ends_after_max_trials": (
        {"max_trials": 2},
        {"a": 100},
        [("a", 0.64, 64, REJECT), ("a", 0.32, 32, ACCEPT)],
    ),
    "rounds_widths_up_to_a_multiple": (
        {"round_to": 8},
        {"a": 20},
        [("a", 0.64, 12, REJECT), ("a", 0.32, 4, REJECT)],
    ),
    "stops_at_one_multiple": ({"round_to": 8}, {"a": 16}, [("a", 0.64, 8, ACCEPT)]),
    "cannot_round_a_narrow_layer": ({"round_to": 8}, {"a": 8, "b": 5}, []),
    "rounds_an_odd_width_down_first": (
        {"round_to": 4},
        {"a": 9},
        [("a", 0.64, 5, ACCEPT)],  # 4 left
    ),
}


def _sizes(widths, params=7, flops=3):
    sizes = {
        name: GroupSize(width, width * params, width * flops) for name, width in widths.items()
    }
    units = sum(widths.values())
    return sizes, GroupSize(units, units * params, units * flops)


@pytest.mark.parametrize(("options", "widths", "expected"), RUNS.values(), ids=RUNS)
def test_run(options, widths, expected):
    policy, widths, trials = SnarePolicy(**options), dict(widths), []
    for _, _, _, verdict in expected:
        proposal = policy.propose(*_sizes(widths))
        assert proposal is not None, f"ended after {trials}"
        assert proposal.width == widths[proposal.layer]
        trials.append((proposal.layer, proposal.share, proposal.remove, verdict))
        if verdict == ACCEPT:
            policy.accept()
            widths[proposal.layer] -= proposal.remove
        else:
            policy.reject()
    assert trials == expected
    assert policy.propose(*_sizes(widths)) is None
    assert policy.trials == len(expected)


SIZES = {"a": GroupSize(10, 1000, 10), "b": GroupSize(20, 100, 100)}
TOTAL = GroupSize(30, 1100, 110)


@pytest.mark.parametrize(
    ("beta", "gamma", "score_a", "score_b"),
    [
        (0, 0, 10 / 30, 20 / 30),
        (1, 0, 10 / 30 + 1000 / 1100, 20 / 30 + 100 / 1100),
        (0, 1, 10 / 30 + 10 / 110, 20 / 30 + 100 / 110),
        (1, 1, 10 / 30 + 1000 / 1100 + 10 / 110, 20 / 30 + 100 / 1100 + 100 / 110),
        (3, 0.5, 10 / 30 + 3 * 1000 / 1100 + 5 / 110, 20 / 30 + 300 / 1100 + 50 / 110),
    ],
    ids="units params flops both weighted".split(),
)
def test_score_chooses_the_layer(beta, gamma, score_a, score_b):
    policy = SnarePolicy(beta=beta, gamma=gamma)
    assert policy.score(SIZES["a"], TOTAL) == pytest.approx(score_a)
    assert policy.score(SIZES["b"], TOTAL) == pytest.approx(score_b)
    assert policy.propose(SIZES, TOTAL).layer == ("a" if score_a > score_b else "b")


def test_equal_scores_go_to_the_first_layer():
    sizes, total = _sizes({"b": 10, "a": 10})
    assert SnarePolicy().propose(sizes, total) == Proposal("b", 0.64, 6, 10)


def test_a_layer_that_appears_later_begins_with_the_first_step():
    policy = SnarePolicy()
    policy.propose(*_sizes({"a": 10}))
    policy.reject()
    assert policy.propose(*_sizes({"a": 10, "b": 10})) == Proposal("b", 0.64, 6, 10)


def test_a_network_without_cost_is_no_division_by_zero():
    assert SnarePolicy().propose({"a": GroupSize(4, 0, 0)}, GroupSize(4, 0, 0)).remove == 2


def test_a_proposal_has_to_be_settled_before_the_next():
    policy = SnarePolicy()
    policy.propose(*_sizes({"a": 10}))
    with pytest.raises(RuntimeError, match="neither accepted nor rejected"):
        policy.propose(*_sizes({"a": 10}))


@pytest.mark.parametrize("settle", [SnarePolicy.accept, SnarePolicy.reject], ids="yes no".split())
@pytest.mark.parametrize("widths", [None, {"a": 1}], ids="at_first at_the_end".split())
def test_there_is_nothing_to_settle(settle, widths):
    policy = SnarePolicy()
    if widths:
        policy.propose(*_sizes(widths))
    with pytest.raises(RuntimeError, match="There is no proposal to accept or reject"):
        settle(policy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_step": 0}, "`first_step` lies between 0 and 1. Received: first_step=0"),
        ({"first_step": 1.0}, "`first_step` lies between 0 and 1"),
        ({"first_step": math.nan}, "`first_step` lies between 0 and 1"),
        ({"first_step": "half"}, "`first_step` lies between 0 and 1. Received: first_step='half'"),
        ({"first_step": True}, "`first_step` lies between 0 and 1. Received: first_step=True"),
        ({"min_step": 0}, "`min_step` lies between 0 and first_step=0.64. Received: min_step=0"),
        ({"min_step": 0.7}, "Received: min_step=0.7"),
        ({"min_step": None}, "Received: min_step=None"),
        ({"beta": -1}, "`beta` is a number, 0 or more. Received: beta=-1"),
        ({"beta": math.inf}, "Received: beta=inf"),
        ({"gamma": math.nan}, "`gamma` is a number, 0 or more. Received: gamma=nan"),
        ({"gamma": "1"}, "Received: gamma='1'"),
        ({"max_trials": 0}, "`max_trials` is an integer, 1 or more, or None. Received: max_t.*=0"),
        ({"max_trials": 1.5}, "Received: max_trials=1.5"),
        ({"max_trials": True}, "Received: max_trials=True"),
        ({"round_to": -8}, "`round_to` is an integer, 1 or more, or None. Received: round_to=-8"),
        ({"round_to": "8"}, "Received: round_to='8'"),
    ],
    ids=lambda value: (
        "_".join(f"{k}_{v}" for k, v in value.items()) if isinstance(value, dict) else ""
    ),
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        SnarePolicy(**options)


@pytest.mark.parametrize(
    ("removable", "round_to", "expected"),
    [
        (2, None, [(0.64, 2), (0.16, 1)]),
        (0, None, []),
        (9, None, [(0.64, 6), (0.32, 3), (0.16, 1)]),
        (2, 4, [(0.64, 2)]),
        (1, 4, []),
    ],
    ids="two none all rounded rounded_away".split(),
)
def test_units_that_cannot_go_are_not_asked_for(removable, round_to, expected):
    policy, found = SnarePolicy(round_to=round_to), []
    sizes, total = {"a": GroupSize(10, 70, 30, removable)}, GroupSize(10, 70, 30)
    while (proposal := policy.propose(sizes, total)) is not None:
        found.append((proposal.share, proposal.remove))
        policy.reject()
    assert found == expected
