"""Scores to masks: hand-computed choices, and counts for any scores."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_snare.masking import get_pattern, select
from keras_snare.masking.selection import erk_densities


def _kernels(**arrays):
    return [
        SimpleNamespace(name=name, shape=one.shape, size=one.size) for name, one in arrays.items()
    ]


def _select(arrays, sparsity, **options):
    arrays = {name: np.array(one, dtype=np.float64) for name, one in arrays.items()}
    found = select(_kernels(**arrays), arrays, sparsity, **options)
    return {name: found[name].astype(int).tolist() for name in found}


FOUR = {"a": [[1, 4], [3, 2]], "b": [[0.1, 0.2], [9, 8]]}


def test_per_layer_takes_the_same_share_of_each():
    assert _select(FOUR, 0.5) == {"a": [[0, 1], [1, 0]], "b": [[0, 0], [1, 1]]}
    assert _select(FOUR, 0.25) == {"a": [[0, 1], [1, 1]], "b": [[0, 1], [1, 1]]}
    assert _select(FOUR, 0.25, rates={"b": 0.75}) == {"a": [[0, 1], [1, 1]], "b": [[0, 0], [1, 0]]}


def test_global_takes_the_lowest_of_all():
    assert _select(FOUR, 0.5, scope="global") == {"a": [[0, 1], [1, 0]], "b": [[0, 0], [1, 1]]}
    assert _select(FOUR, 0.25, scope="global") == {"a": [[1, 1], [1, 1]], "b": [[0, 0], [1, 1]]}


def test_erdos_renyi_kernel_keeps_more_of_small_kernels():
    # In proportion to (4 + 4) / 16 = 0.5 and (8 + 8) / 64 = 0.25; 20 of 80 are kept.
    assert erk_densities([(4, 4), (8, 8)], 0.25).tolist() == pytest.approx([5 / 12, 5 / 24])
    # The small one would keep more than all it has, so the other one gets the rest.
    assert erk_densities([(2, 2), (10, 10)], 0.5).tolist() == pytest.approx([1, 0.48])
    assert erk_densities([(2, 2)], 1.0).tolist() == [1]
    scores = {"a": np.random.default_rng(0).random((4, 4)), "b": np.ones((8, 8))}
    found = _select(scores, 0.75, scope="erk")
    assert (np.sum(found["a"]), np.sum(found["b"])) == (16 - round(16 * 7 / 12), 64 - 51)


def test_equal_scores_go_in_order_and_minus_infinity_goes_first():
    assert _select({"a": [[1, 1, 1, 1]]}, 0.5) == {"a": [[0, 0, 1, 1]]}
    assert _select({"a": [[5, 1, -np.inf, 2]]}, 0.25) == {"a": [[1, 1, 0, 1]]}


@pytest.mark.parametrize(
    "kind", ["normal", "in order", "nearly all equal", "two humps", "one far away"]
)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9, 0.9999])
def test_of_many_scores_the_lowest_go(kind, share):
    """By a sample of them: however they lie, no other is chosen than by sorting."""
    random = np.random.default_rng(0)
    scores = {
        "normal": abs(random.normal(size=30_000)),
        "in order": np.arange(30_000.0),
        "nearly all equal": np.where(random.random(30_000) < 0.99, 1.0, random.random(30_000)),
        "two humps": random.normal(size=30_000) + 50 * (random.random(30_000) < 0.5),
        "one far away": np.append(np.zeros(29_999), 1e30),
    }[kind]
    expected = np.ones(30_000, dtype=int)
    expected[np.argsort(scores, kind="stable")[: round(share * 30_000)]] = 0
    assert _select({"a": scores}, share) == {"a": expected.tolist()}


@pytest.mark.parametrize("scope", ["layer", "global", "erk"])
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=3),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_as_many_go_as_asked_and_none_of_them_scores_higher(scope, shapes, sparsity, distinct):
    random = np.random.default_rng(len(shapes))
    scores = {str(at): random.integers(0, distinct + 1, one) for at, one in enumerate(shapes)}
    masks = select(_kernels(**scores), scores, sparsity, scope)
    total = sum(one.size for one in scores.values())
    assert abs((total - masks.kept) - sparsity * total) <= len(shapes) * 0.5 + 1e-6
    joined = [masks] if scope == "global" else [{name: masks[name]} for name in masks]
    for part in joined:
        kept = np.concatenate([scores[name][part[name]] for name in part])
        gone = np.concatenate([scores[name][~part[name]] for name in part])
        assert not kept.size or not gone.size or kept.min() >= gone.max()


def test_two_of_four_along_the_axis():
    scores = {"a": [[8, 1], [7, 2], [6, 3], [5, 4], [1, 1], [2, 2], [3, 0], [4, 0]]}
    expected = {"a": [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1], [1, 0], [1, 0]]}
    options = {"pattern": get_pattern((2, 4), None), "axes": {"a": 0}}
    assert _select(scores, 0.5, **options) == expected
    # Half the way: the lowest four of those that will go.
    halfway = _select(scores, 0.25, **options)
    assert np.sum(halfway["a"]) == 12
    assert np.array(halfway["a"])[[6, 7, 0, 4], [1, 1, 1, 0]].tolist() == [0, 0, 0, 0]
    # Never more than the pattern allows.
    assert _select(scores, 0.9, **options) == expected


@given(st.integers(1, 3), st.integers(2, 5), st.integers(0, 2))
def test_n_of_m_are_kept_in_every_group(n, m, axis):
    n = min(n, m - 1)
    shape = [3, 4, 2]
    shape[axis] = 2 * m
    scores = {"a": np.random.default_rng(m).random(shape)}
    pattern = get_pattern((n, m), None)
    masks = select(_kernels(**scores), scores, pattern.sparsity, "global", pattern, {"a": axis})
    rows = np.moveaxis(masks["a"], axis, -1).reshape(-1, m)
    assert (rows.sum(axis=1) == n).all()
    values = np.moveaxis(scores["a"], axis, -1).reshape(-1, m)
    assert all(row[kept].min() > row[~kept].max() for row, kept in zip(values, rows, strict=True))


def test_blocks_go_whole_by_their_mean():
    scores = {"a": [[1, 1, 9, 9, 5], [1, 1, 9, 9, 5], [7, 7, 0, 0, 6]]}
    pattern = get_pattern(None, (2, 2))
    # Blocks of 4, 4, 2, 2, 2, 1 connections with the means 1, 9, 5, 7, 0, 6.
    assert _select(scores, 6 / 15, pattern=pattern) == {
        "a": [[0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [1, 1, 0, 0, 1]]
    }
    assert _select(scores, 2 / 15, pattern=pattern)["a"][2] == [1, 1, 0, 0, 1]
    assert _select(scores, 1.0, pattern=pattern) == {"a": [[0] * 5] * 3}
    assert _select(scores, 0.0, pattern=pattern) == {"a": [[1] * 5] * 3}


def test_blocks_of_a_convolution_lie_at_each_tap():
    scores = {"a": np.arange(2 * 2 * 4 * 4).reshape(2, 2, 4, 4)}
    masks = select(_kernels(**scores), scores, 0.5, "layer", get_pattern(None, (4, 2)))
    blocks = masks["a"].reshape(4, 4, 2, 2)
    assert (blocks.all(axis=(1, 3)) | ~blocks.any(axis=(1, 3))).all()
    assert masks.sparsity == 0.5
    assert masks["a"][1].all()


@pytest.mark.parametrize(
    ("pattern", "block", "message"),
    [
        ((2, 4), (1, 2), "in one pattern. Received both"),
        ((4, 4), None, r"n below m. Received: \(4, 4\)"),
        ((0, 4), None, "two integers, 1 or more. Received: pattern="),
        ("2:4", None, "two integers, 1 or more. Received: pattern='2:4'"),
        (None, (2, 2.5), "two integers, 1 or more. Received: block="),
    ],
    ids=["both", "all", "none", "text", "float"],
)
def test_patterns_that_are_none(pattern, block, message):
    with pytest.raises(ValueError, match=message):
        get_pattern(pattern, block)
