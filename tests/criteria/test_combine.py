"""Several criteria as one: what they sum up to, and what they need."""

import json

import keras
import numpy as np
import pytest
from fitting import UNITS, widths
from keras import layers
from resuming import killed_run, run, snare
from training import compiled, dense_model, random_data, same, state_of

import keras_snare
from keras_snare import CombineCriterion, SnapshotError, SnareCallback
from keras_snare.criteria import (
    L1InCriterion,
    LiveStatistics,
    RandomCriterion,
    get_criterion,
    score_groups,
    statistics,
    twins_of,
)
from keras_snare.graph import channel_groups


class Given(keras_snare.Criterion):
    def __init__(self, *scores):
        self.scores = scores

    def score(self, channels):
        return np.array(self.scores)


class First(Given):
    """Merges every unit into the first one."""

    def twins(self, channels):
        return np.array([-1] + [0] * (channels.width - 1))


def _groups(units=(4,)):
    return channel_groups(dense_model(units=units)).prunable()


def _score(criterion):
    return score_groups(_groups(), criterion)["hidden1"]


ONE, TWO = Given(1, 2, 3, 6), Given(-40, 0, 10, 30)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, np.array([1, 2, 3, 6]) / 3 + 0.5 * np.array([-40, 0, 10, 30]) / 20),
        ({"normalize": "none"}, [1 - 20, 2, 3 + 5, 6 + 15]),
        ({"normalize": "rank"}, 1.5 * np.array([0, 1, 2, 3]) / 4),
        ({"normalize": lambda scores: scores**2}, [1 + 800, 4, 9 + 50, 36 + 450]),
    ],
    ids="mean none rank own".split(),
)
def test_by_hand(options, expected):
    both = CombineCriterion([(ONE, 1), (TWO, np.float32(0.5))], **options)
    np.testing.assert_allclose(_score(both), expected)


def test_a_combination_is_a_part_like_any_other():
    inner = CombineCriterion([ONE, TWO], normalize="rank")
    outer = CombineCriterion([(inner, 2), ONE], normalize="sum")
    expected = 2 * np.array([0, 1, 2, 3]) / 6 + np.array([1, 2, 3, 6]) / 12
    np.testing.assert_allclose(_score(outer), expected)


def test_infinite_scores_mean_never():
    both = CombineCriterion([Given(1, np.inf, 2, 3), ONE])
    np.testing.assert_allclose(_score(both), [0.5 + 1 / 3, np.inf, 1 + 1, 1.5 + 2])


PARTS = {
    "all": {"l1_in": 1, "activation": 2, "taylor": 3, "fisher": 4, "hessian": 5},
    "nested": [(CombineCriterion(["apoz", "l2", "taylor"]), 2), "activation", "l2"],
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_parts_with_different_needs_get_what_they_need(parts):
    model = compiled(dense_model(), run_eagerly=True)
    data, groups = random_data(model), channel_groups(model)
    chosen = groups.prunable()

    def scores(criterion):
        found = None
        if criterion.needs != "weights":
            found = statistics(model, groups, chosen, criterion, data)
        return score_groups(chosen, criterion, found)

    both = CombineCriterion(parts, normalize="max")
    found, expected = scores(both), {group.name: 0 for group in chosen}
    for part, weight in both.parts:
        for name, own in scores(part).items():
            expected[name] = expected[name] + weight * own / np.abs(own).max()
    for name, one in expected.items():
        np.testing.assert_allclose(found[name], one, rtol=1e-6)
    report = keras_snare.prune(model, 0.5, criterion=both, scope="local", data=data)
    kept = {name: tuple(sorted(np.argsort(one)[len(one) // 2 :])) for name, one in found.items()}
    assert report.plan.keep == kept


@pytest.mark.parametrize(
    ("parts", "needs", "live"),
    [
        (["l1_in", "similarity"], "weights", False),
        (["l1_in", "activation"], "activations", False),
        (["taylor", "l1_in"], "gradients", True),
        (["taylor", "fisher"], "gradients", True),
        (["taylor", "activation"], "gradients", False),
        ([CombineCriterion(["l1_in", "obd"]), "taylor"], "curvature", False),
    ],
    ids=str,
)
def test_what_it_needs(parts, needs, live):
    both = CombineCriterion(parts)
    assert (both.needs, both.live) == (needs, live)
    assert both.needs_labels == (needs in ("gradients", "curvature"))
    if needs == "weights" or live:
        assert SnareCallback(criterion=both).criterion is both
        return
    with pytest.raises(ValueError, match=r"CombineCriterion\(.* Give `scoring_data=\(x, y\)`"):
        SnareCallback(criterion=both)


def test_training_steps_are_collected_for_each_part():
    parts = [CombineCriterion(["taylor", "l1_in", "fisher"])]
    parts += [get_criterion(name) for name in ("taylor", "fisher")]
    model = compiled(dense_model(), keras.optimizers.SGD(0.0), run_eagerly=True)
    x, y = random_data(model)
    found = []
    for criterion in parts:
        live = LiveStatistics(model, criterion)
        live.follow(channel_groups(model).prunable())
        live.attach()
        for part in (slice(5), slice(5, None)):
            model.train_on_batch(x[part], y[part])
        found.append(live.statistics())
        live.detach()
    both, taylor, fisher = found
    for name, one in both.items():
        assert (one > 0).any()
        np.testing.assert_allclose(one, np.stack([taylor[name], fisher[name]], axis=-1), rtol=1e-5)


def _combined(directory=None, parts=("taylor", "fisher", "l1_in"), **options):
    return snare(directory, **{"criterion": CombineCriterion(parts), "max_trials": 3, **options})


def test_a_search_and_what_its_directory_knows_it_by(tmp_path):
    short = {"eps": 1.0, "warmup_epochs": 1, "max_trials": 2}
    callback = _combined(tmp_path, **short)
    model = run(callback, epochs=3)
    # What was collected is cut with the first layer, and ranks the units of the second.
    assert callback.report.accepted == 2
    assert widths(model) < [*UNITS, 10]
    with pytest.raises(SnapshotError, match=r"'CombineCriterion\(Taylor.*Fisher.*L1InC.*Give the"):
        run(_combined(tmp_path, ("taylor", "l1_in"), **short), epochs=3)


@pytest.mark.slow
def test_a_search_goes_on_with_what_it_collected(tmp_path):
    whole = _combined()
    model = run(whole, epochs=9)
    assert whole.report.accepted > 0
    killed_run(_combined(tmp_path / "run"), "on_epoch_end", 3, epochs=9)
    again = _combined(tmp_path / "run")
    resumed = run(again, epochs=9)
    assert json.loads(again.report.to_json()) == json.loads(whole.report.to_json())
    assert same(state_of(model), state_of(resumed))


@pytest.mark.parametrize(
    ("parts", "merges"),
    [
        ([ONE], False),
        ([First(4, 3, 2, 1), ONE], True),
        ([ONE, CombineCriterion([First(4, 3, 2, 1)])], True),
        ([First(4, 3, 2, 1), ONE, "similarity"], False),
    ],
    ids="none one nested two".split(),
)
def test_units_are_merged_if_one_part_says_into_which(parts, merges):
    (group,) = _groups()
    first, *others = group.roots.tolist()
    found = twins_of([group], CombineCriterion(parts), np.array(others[:2]))
    assert found == (dict.fromkeys(others[:2], first) if merges else {})


def test_a_merged_twin_goes_without_loss():
    hidden = layers.Dense(3, "relu", name="hidden")
    model = keras.Sequential([keras.Input((2,)), hidden, layers.Dense(1)])
    hidden.kernel.assign([[3, 1, 1], [3, 2, 2]])
    x = random_data(model)[0]
    expected = model(x).numpy()
    both = CombineCriterion({"similarity": 1, "l1_in": 1})
    keras_snare.prune(model, 0.34, criterion=both)
    assert hidden.units == 2
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-6)


def test_repr_makes_the_same():
    groups, nested = _groups(), CombineCriterion([(RandomCriterion(3), 2)], normalize="rank")
    both = CombineCriterion([("l1_in", 0.5), nested, L1InCriterion("max")])
    assert repr(both).startswith("CombineCriterion([(L1InCriterion(reduction='sum'), 0.5), (Comb")
    again = eval(repr(both), vars(keras_snare.criteria))
    assert repr(again) == repr(both)
    one, other = (score_groups(groups, criterion)["hidden1"] for criterion in (both, again))
    np.testing.assert_array_equal(one, other)
    kinds = "L1InCriterion, CombineCriterion(RandomCriterion), L1InCriterion"
    assert both.kind == f"CombineCriterion({kinds})"


@pytest.mark.parametrize(
    ("parts", "options", "error", "message"),
    [
        ("l1_in", {}, TypeError, "`parts` is a mapping from criteria to weights.*: 'l1_in'"),
        (3, {}, TypeError, "Received: 3"),
        ({}, {}, ValueError, r"one criterion or more to combine. Received: parts=\{\}"),
        ({"l3": 1}, {}, ValueError, "Unknown criterion. Received: 'l3'"),
        ([3], {}, TypeError, "`criterion` is a name"),
        ({"l2": 0}, {}, ValueError, "is a number above 0. Received: 0 for 'l2'. Leave the part"),
        ({"l2": -1.0}, {}, ValueError, "Received: -1.0"),
        ({"l2": float("nan")}, {}, ValueError, "Received: nan"),
        ({"l2": float("inf")}, {}, ValueError, "Received: inf"),
        ({"l2": "much"}, {}, ValueError, "Received: 'much'"),
        ({"l2": True}, {}, ValueError, "Received: True"),
        ({"l2": 1}, {"normalize": "l7"}, ValueError, "Unknown normalization. Received: 'l7'"),
        ({"l2": 1}, {"normalize": None}, TypeError, "`normalize` is a name.*Received: None"),
    ],
)
def test_wrong_use(parts, options, error, message):
    with pytest.raises(error, match=message):
        CombineCriterion(parts, **options)


@pytest.mark.parametrize(
    ("part", "message"),
    [(Given(1, 2), r"shape \(4,\)"), (Given(1, 2, np.nan, 3), r"Given\(.*returned NaN")],
)
def test_a_part_with_a_wrong_result_is_named(part, message):
    with pytest.raises(ValueError, match=message):
        _score(CombineCriterion([ONE, part]))
