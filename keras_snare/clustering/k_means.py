"""k-means on numbers in a row, where clusters are intervals."""

import numpy as np

_ROUNDS = 300


def k_means(values: np.ndarray, clusters: int) -> np.ndarray:
    """Returns the means of `clusters` groups of numbers, in order; fewer of fewer numbers.

    Lloyd's algorithm from means at equal distances, which keeps more of the large weights than
    random ones do. A group that is left empty begins anew at the number that is farthest from its
    mean.

    Args:
        values: the numbers, flat.
        clusters: int, number of groups.

    Returns:
        The means, in float64.

    Reference:
        Han et al., "Deep Compression", ICLR 2016, for where it begins.
    """
    ordered = np.sort(values.astype(np.float64))
    distinct = ordered[np.flatnonzero(np.diff(ordered, prepend=-np.inf))]
    if len(distinct) <= clusters:
        return distinct
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    means, places = np.linspace(ordered[0], ordered[-1], clusters), np.zeros(0)
    for _ in range(_ROUNDS):
        found = np.searchsorted(ordered, (means[:-1] + means[1:]) / 2)
        found = np.concatenate([[0], found, [len(ordered)]])
        if np.array_equal(found, places):
            break  # With as many means as asked for: others are added in every round.
        places, counts = found, np.diff(found)
        filled = counts > 0
        means = np.diff(sums[found])[filled] / counts[filled]
        if len(means) < clusters:
            ends = ordered[np.stack([found[:-1][filled], found[1:][filled] - 1])]
            means = np.concatenate([means, _farthest(ends, means, clusters - len(means))])
            means = np.unique(means)
    return means


def _farthest(ends: np.ndarray, means: np.ndarray, count: int) -> np.ndarray:
    """The first and last numbers of groups that are farthest from the means of these."""
    order = np.argsort(-abs(ends - means).reshape(-1), kind="stable")
    return ends.reshape(-1)[order[:count]]


def nearest(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Returns the place of the nearest mean for each number."""
    return np.searchsorted((means[:-1] + means[1:]) / 2, values.astype(np.float64))
