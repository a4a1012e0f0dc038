"""Every registered criterion by hand, where two layers make the units and two read them."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_snare.criteria import (
    CRITERIA,
    OBDCriterion,
    get_criterion,
    score_groups,
    statistics,
)
from keras_snare.graph import channel_groups

STEM, INNER, OUT = [[1, -2]], [[0.5, 1], [1, -0.5]], [[2], [-1]]
# For x = 1, the stem makes [1, -2], the inner layer [-1.5, 2]; the sum is [-0.5, 0], the output -1.
# Everything is linear in x.
X = np.array([[1], [-2]], "float32")
Y = np.zeros((2, 1), "float32")


def _output(y_true, y_pred):
    return keras.ops.sum(y_pred, axis=-1)


def _square(y_true, y_pred):
    return keras.ops.sum(keras.ops.square(y_pred), axis=-1)


def _residual(loss=_output, normalized=False):
    """A stem, an inner layer that reads it, their sum, and an output that reads the sum."""
    inputs = keras.Input((1,))
    stem = layers.Dense(2, name="stem")(inputs)
    inner = layers.Dense(2, name="inner")(stem)
    if normalized:
        stem = layers.BatchNormalization(name="stem_norm")(stem)
        inner = layers.BatchNormalization(name="inner_norm")(inner)
    model = keras.Model(inputs, layers.Dense(1, name="out")(layers.Add()([stem, inner])))
    for name, kernel in (("stem", STEM), ("inner", INNER), ("out", OUT)):
        model.get_layer(name).kernel.assign(kernel)
    for name, gamma in (("stem", [3.0, -1.0]), ("inner", [-0.5, 2.0])) if normalized else ():
        model.get_layer(f"{name}_norm").gamma.assign(gamma)
    model.compile("sgd", loss, run_eagerly=True)
    return model


def _scores(model, criterion):
    groups = channel_groups(model)
    chosen = [groups["stem"]]
    assert chosen[0].layers == ("stem", "inner")
    found = None
    if criterion.needs != "weights":
        found = statistics(model, groups, chosen, criterion, (X, Y))
    return score_groups(chosen, criterion, found)["stem"]


# What the inner layer reads of the two units, times its derivative, is [0, -5] for x = 1; what the
# output reads, [-1, 0]. For x = -2 it is -2 times as much.
EXPECTED = {
    "activation": [(1.5 + 3) / 2, (2 + 4) / 2],
    "apoz": [1, 0.5],
    "batchnorm_scale": [3 + 0.5, 1 + 2],
    "fisher": [(1 + 4) / 4, (25 + 100) / 4],
    "fpgm": [3 + np.sqrt(2.5), 3 + np.sqrt(2.5)],
    # Minus the slope, which is [1, 5] / 2, and half of the curvature, which is [-2, 2] / 2.
    "hessian": [-1 / 2 - 1 / 2, -5 / 2 + 1 / 2],
    "l1_both": [2.5 + 3.5, 3.5 + 2.5],
    "l1_in": [1 + 1.5, 2 + 1.5],
    "l1_out": [1.5 + 2, 1.5 + 1],
    "l2": [np.sqrt(1 + 0.25 + 1), np.sqrt(4 + 1 + 0.25)],
    # With the squared output, h is 2 (∂output/∂w)². The units of the stem reach the output by
    # [2, 1.5], the inner weights by what they read, [1, -2] x, times [2, -1]. The mean of x² is
    # 2.5.
    "obd": [2.5 * (4 + 4 * (0.25 + 4)), 2.5 * (2.25 * 4 + (1 + 1))],
    "random": np.random.default_rng([0, 2, *b"stem"]).random(2),
    # The mean square of what reads them, [1.75, 0.75], times the squared distance of what makes
    # them, 9 + 0.25 + 2.25. The second goes, the first is left.
    "similarity": [0.75 * 11.5, 0.75 * 11.5],
    # Of sizes alone: the stem makes [1, 2], of which [4, 3.5] reach the output in all; the inner
    # layer makes [2.5, 2], of which [2, 1] do.
    "synflow": [1 * 4 + 2.5 * 2, 2 * 3.5 + 2 * 1],
    "taylor": [(0.5 + 1) / 2, (2.5 + 5) / 2],
}


def test_every_criterion_is_here():
    assert sorted(EXPECTED) == CRITERIA.names()


@pytest.mark.parametrize("name", EXPECTED)
def test_by_hand(name):
    model = _residual(_square if name == "obd" else _output, name == "batchnorm_scale")
    criterion = OBDCriterion(probes=None) if name == "obd" else get_criterion(name)
    found = _scores(model, criterion)
    np.testing.assert_allclose(found, EXPECTED[name], rtol=1e-5)


# The figures of the two layers, as they are reduced.
PAIRS = {
    "batchnorm_scale": [[3, 1], [0.5, 2]],
    "fpgm": [[3, 3], [np.sqrt(2.5), np.sqrt(2.5)]],
    "l1_in": [[1, 2], [1.5, 1.5]],
    "l1_out": [[1.5, 1.5], [2, 1]],
    "l2": [[1, 2], [np.sqrt(1.25), np.sqrt(1.25)]],
}


@pytest.mark.parametrize("reduction", ["max", "mean", "norm", "product", "sum"])
@pytest.mark.parametrize("name", PAIRS)
def test_layers_are_reduced_as_one_wishes(name, reduction):
    norm = np.linalg.norm
    reduce = {"max": np.max, "mean": np.mean, "norm": norm, "product": np.prod, "sum": np.sum}
    criterion = CRITERIA.get(name)(reduction=reduction)
    found = _scores(_residual(normalized=name == "batchnorm_scale"), criterion)
    np.testing.assert_allclose(found, reduce[reduction](PAIRS[name], axis=0), rtol=1e-6)
    assert repr(criterion) == f"{type(criterion).__name__}(reduction={reduction!r})"


def test_l1_both_reduces_either_side():
    found = _scores(_residual(), CRITERIA.get("l1_both")(reduction="max"))
    np.testing.assert_allclose(found, [1.5 + 2, 2 + 1.5])


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("sum", [2 + 5, 3 + 5, 5]), ("mean", [3.5, 4, 5]), ("product", [10, 15, 5])],
)
def test_layers_without_a_unit_do_not_count(reduction, expected):
    inputs = keras.Input((1,))
    part = layers.Dense(2, name="part", use_bias=False)(inputs)
    joined = layers.Concatenate()([part, inputs])
    whole = layers.Dense(3, name="whole", use_bias=False)(inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.Add()([joined, whole])))
    model.get_layer("part").kernel.assign([[2, 3]])
    model.get_layer("whole").kernel.assign([[5, 5, 5]])
    group = channel_groups(model)["whole"]
    criterion = CRITERIA.get("l1_in")(reduction=reduction)
    found = score_groups([group], criterion)[group.name]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    ("reduction", "error", "message"),
    [
        ("average", ValueError, "Unknown reduction. Received: 'average'. Known: max, mean, norm"),
        (None, TypeError, "`reduction` is a name: max, mean, norm, product, sum. Received: None"),
    ],
)
def test_wrong_reductions(name, reduction, error, message):
    with pytest.raises(error, match=message):
        CRITERIA.get(name)(reduction=reduction)


@pytest.mark.parametrize("name", ["l1_in", "l2", "fpgm", "obd"])
def test_selected_features_are_ranked_by_what_reads_them(name):
    from keras_snare.layers import FeatureSelection

    selection = FeatureSelection([0, 1, 2], name="selection")
    model = keras.Sequential([keras.Input((3,)), selection, layers.Dense(1, use_bias=False)])
    model.layers[1].kernel.assign([[1], [-4], [2]])
    model.compile("sgd", _square, run_eagerly=True)
    groups = channel_groups(model)
    criterion = OBDCriterion(probes=None) if name == "obd" else get_criterion(name)
    found = None
    if name == "obd":
        data = np.array([[1, 1, 1], [1, -1, 1]], "float32"), Y
        found = statistics(model, groups, groups.prunable(), criterion, data)
    (scores,) = score_groups(groups.prunable(), criterion, found).values()
    by_hand = {"fpgm": [6, 11, 7], "obd": [1, 16, 4]}
    np.testing.assert_allclose(scores, by_hand.get(name, [1, 4, 2]), rtol=1e-6)
