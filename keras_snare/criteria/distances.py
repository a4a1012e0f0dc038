"""Distances between the units of a layer, without a matrix of all pairs."""

from collections.abc import Iterator

import numpy as np

_ROWS = 256


def squared_distances(
    vectors: np.ndarray, units: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the squared Euclidean distances of some units to all, block by block.

    Args:
        vectors: array `(all units, weights)`.
        units: the units whose distances are asked for.

    Yields:
        Some of the units, and an array `(those, all units)`. What is zero may be off by rounding.
    """
    squares = np.square(vectors).sum(axis=1)
    for start in range(0, len(units), _ROWS):
        rows = units[start : start + _ROWS]
        apart = squares[rows, None] + squares - 2 * vectors[rows] @ vectors.T
        yield rows, np.maximum(apart, 0, out=apart)
