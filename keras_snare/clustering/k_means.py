"""k-means on numbers in a row, where clusters are intervals."""

import numpy as np

_ROUNDS = 300


def k_means(values: np.ndarray, clusters: int) -> np.ndarray:
    """Returns the means of at most `clusters` groups of numbers, in order.

    Lloyd's algorithm from means at equal distances, which keeps more of the large weights than
    random ones do. Groups that are empty are left out.

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
    means, places = np.linspace(ordered[0], ordered[-1], clusters), None
    for _ in range(_ROUNDS):
        found = np.searchsorted(ordered, (means[:-1] + means[1:]) / 2)
        found = np.concatenate([[0], found, [len(ordered)]])
        if places is not None and len(found) == len(places) and (found == places).all():
            break
        places, counts = found, np.diff(found)
        means = (np.diff(sums[found])[counts > 0]) / counts[counts > 0]
        if not counts.all():
            places = None
    return means


def nearest(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Returns the place of the nearest mean for each number."""
    return np.searchsorted((means[:-1] + means[1:]) / 2, values.astype(np.float64))
