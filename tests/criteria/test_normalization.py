"""How scores of layers are made comparable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pruning import data, network

import keras_snare
from keras_snare.criteria import normalized
from keras_snare.criteria.normalization import NORMALIZATIONS

SCORES = np.array([4.0, 0, -2, 2])
EXPECTED = {
    "gaussian": (SCORES - 1) / np.sqrt((9 + 1 + 9 + 1) / 4),
    "max": SCORES / 4,
    "mean": SCORES / 2,
    "none": SCORES,
    "range": (SCORES + 2) / 6,
    "rank": [0.75, 0.25, 0, 0.5],
    "rms": SCORES / np.sqrt(6),
    "sum": SCORES / 8,
}
each = pytest.mark.parametrize("name", NORMALIZATIONS.names())


@each
def test_by_hand(name):
    assert sorted(EXPECTED) == NORMALIZATIONS.names()
    np.testing.assert_allclose(normalized(SCORES, name), EXPECTED[name])
    endless = np.array([np.inf, *SCORES, -np.inf])
    np.testing.assert_allclose(normalized(endless, name), [np.inf, *EXPECTED[name], -np.inf])
    assert np.isinf(normalized(np.full(3, np.inf), name)).all()


@each
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=8), st.sampled_from([1e-9, 1, 1e9]))
def test_order_stays_and_size_goes(name, numbers, size):
    scores = np.array(numbers, dtype=float)
    found = normalized(scores * size, name)
    assert np.isfinite(found).all()
    apart = np.subtract.outer
    np.testing.assert_array_equal(np.sign(apart(found, found)), np.sign(apart(scores, scores)))
    if name != "none":
        np.testing.assert_allclose(found, normalized(scores, name), rtol=1e-6, atol=1e-9)


# Units of the two layers score 0.2, 0.4, ... 1.6 and 0.8, 1.6, 2.4, 3.2.
@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        (None, [6, 3]),
        ("rms", [6, 3]),
        ("none", [5, 4]),
        ("sum", [5, 4]),
        ("max", [6, 3]),
        ("rank", [6, 3]),
        (lambda scores: scores * (len(scores) == 8), [8, 1]),
        (lambda scores: scores * (len(scores) == 4), [5, 4]),
    ],
)
def test_prune_in_the_global_scope(normalize, expected):
    model = network()
    keras_snare.prune(model, 0.25, normalize=normalize)
    assert [layer.units for layer in model.layers[:2]] == expected


def test_layers_are_compared_by_the_change_of_the_loss_itself():
    model = network(compiled=True)
    scores = keras_snare.criteria.HessianCriterion()
    report = keras_snare.prune(model, 0.5, criterion=scores, normalize="none", data=data())
    assert sum(change.before - change.after for change in report.changes) == 6
