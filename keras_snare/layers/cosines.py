"""The discrete cosine transform: its basis on a grid, and which frequencies are low."""

import numbers
import operator
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from keras_snare.arguments import is_number, is_whole

Grid = tuple[int, ...]

# Numbers that a basis may have: two gigabytes, so that no file can ask for more.
_MOST = 2**28


def cosines(length: int, chosen: Any = None) -> np.ndarray:
    """Returns the orthonormal basis of the DCT-II: `(length, frequencies)`, each a column.

    Args:
        length: int, places on the line.
        chosen: array of int, the frequencies; None for all.
    """
    waves = np.arange(length) if chosen is None else np.asarray(chosen)
    places = (np.arange(length) + 0.5) * np.pi / length
    basis = np.cos(np.outer(places, waves)) * np.sqrt(2 / length)
    return np.where(waves == 0, np.sqrt(1 / length), basis)


def spectrum(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Returns the coefficients of all frequencies, for values whose leading features lie on a grid.

    Args:
        values: array; its leading axes are the grid, or one that `Flatten` made of it.
        grid: see `frequencies`.
    """
    found = values.astype(np.float64).reshape(*grid[:2], -1)
    for axis, length in enumerate(grid[:2]):
        found = np.moveaxis(np.tensordot(cosines(length), found, (0, axis)), 0, axis)
    return found.reshape(values.shape)


def frequencies(grid: Grid) -> np.ndarray:
    """Returns the flat numbers of all frequencies of a grid, the lowest first.

    Args:
        grid: `(length,)`, `(height, width)` or `(height, width, channels)`; along the channels
            nothing is transformed. Low is what has few waves, as a share of the most that there
            can be, counted in a circle over height and width.
    """
    waves = np.indices(grid[:2]).reshape(min(len(grid), 2), -1)
    lengths = np.array(grid[:2])[:, None]
    order = np.argsort(np.sum((waves / lengths) ** 2, axis=0), kind="stable")
    channels = grid[2] if len(grid) > 2 else 1
    return (order[:, None] * channels + np.arange(channels)).reshape(-1)


def basis(grid: Grid, chosen: Sequence[int]) -> np.ndarray:
    """Returns the basis of chosen frequencies, `(features, chosen)`, orthonormal columns."""
    _check_size(len(chosen) * prod(grid))
    places = np.unravel_index(np.asarray(chosen), grid)
    along = [cosines(length, at) for length, at in zip(grid[:2], places, strict=False)]
    if len(grid) > 2:
        along.append(np.eye(grid[2])[:, places[2]])
    found = along[0]
    for one in along[1:]:
        found = (found[:, None] * one[None]).reshape(-1, len(chosen))
    return found


def checked_grid(grid: Any, features: int, name: str) -> Grid:
    """Returns the grid that the features of an input lie on.

    Raises:
        ValueError: when they do not.
    """
    found = (features,) if grid is None else grid
    if prod(found) != features:
        raise ValueError(
            f"Layer {name!r} has input_grid={found}, which is {prod(found)} features. Received: "
            f"inputs with {features}. Give the grid that they lie on, or None for a line."
        )
    return found


def support(grid: Grid, coefficients: Any) -> tuple[int, ...]:
    """Returns the frequencies that a count, a share or an index set stands for.

    Raises:
        ValueError: when it is out of range for the grid.
    """
    features = prod(grid)
    _check_size(features)
    if isinstance(coefficients, tuple):
        if max(coefficients) >= features:
            raise ValueError(
                f"`coefficients` are numbers of frequencies below {features}, on the grid {grid}. "
                f"Received: {max(coefficients)}"
            )
        return coefficients
    count = coefficients
    if isinstance(coefficients, float):
        count = max(round(coefficients * features), 1)
    if count > features:
        raise ValueError(
            f"`coefficients` is {features} at most, on the grid {grid}. Received: {count}"
        )
    return tuple(frequencies(grid)[:count].tolist())


def checked_coefficients(coefficients: Any) -> int | float | tuple[int, ...]:
    """Returns a count, a share, or distinct numbers of frequencies.

    Raises:
        ValueError: when it is none of these.
    """
    if is_whole(coefficients) and coefficients > 0:
        return int(coefficients)
    if is_number(coefficients) and not is_whole(coefficients) and 0 < coefficients <= 1:
        return float(coefficients)
    if not isinstance(coefficients, (numbers.Number, str)):
        try:
            found = tuple(map(operator.index, coefficients))
        except TypeError:
            found = ()
        if found and min(found) >= 0 and len(set(found)) == len(found):
            return found
    raise ValueError(
        "`coefficients` is how many frequencies there are: an integer, 1 or more, a share as a "
        "float, or their distinct numbers. Received: coefficients="
        f"{coefficients!r}"
    )


def _check_size(numbers: int) -> None:
    if numbers > _MOST:
        raise ValueError(
            f"A basis of cosines has {_MOST:,} numbers at most. Received: {numbers:,}. Put a "
            "smaller layer before it, or take fewer coefficients on a grid."
        )
