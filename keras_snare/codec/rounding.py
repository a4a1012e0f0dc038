"""Rounding of a kernel for few bytes and little error in what its layer computes.

Each coefficient takes the integer with the least sum of error and bits; what it is wrong by, the
coefficients after it make good as far as they can, for inputs like those of the data. The bias
comes last and takes up what is left.
"""

from typing import Any

import numpy as np

# Added to the second moments, as a share of their mean: directions that the data do not show.
_DAMPING = 0.01
_BLOCK = 64
_PASSES = 2
# Below this part of a step a number is taken for zero when chances are guessed for the first time.
_DEAD = 0.65
# No output is taken to matter less than this part of the mean.
_LEAST_WEIGHT = 0.05


class KernelRounding:
    """A kernel that is to be rounded, at whatever step.

    Args:
        kernel: float64 array (features, outputs), of coefficients where there is a transform.
        bias: (outputs,), or None where there is none.
        moments: (features, features), or with the bias's row and column at the end; mean of the
            products of what is multiplied with the coefficients.
        weights: (outputs,), what a squared error of each output costs.
        kept: bool array like the kernel, where it may be other than zero; None for everywhere.
    """

    def __init__(
        self, kernel: np.ndarray, bias: Any, moments: Any, weights: Any, kept: Any
    ) -> None:
        self._rows = kernel if bias is None else np.concatenate([kernel, bias[None]])
        self._features, self._moments, self._kept = len(kernel), moments, kept
        self._weights = weights + _LEAST_WEIGHT * np.mean(weights) + np.finfo(float).tiny
        seen = np.diag(moments)[: self._features]
        order = np.argsort(-seen, kind="stable")
        self._order = np.concatenate([order, np.arange(len(kernel), len(self._rows))])
        damped = moments[np.ix_(self._order, self._order)]
        damped = damped + (_DAMPING * np.trace(damped) / len(damped) + 1e-12) * np.eye(len(damped))
        self._passing = np.linalg.cholesky(np.linalg.inv(damped)).T
        energy = kernel**2 + 1e-12 * np.mean(kernel**2) + np.finfo(float).tiny
        costs = seen @ energy @ self._weights
        self.curvature = float(costs / energy.sum())

    def at(self, step: float, rate: float) -> tuple[np.ndarray, Any, float]:
        """Rounds to multiples of a step.

        Args:
            step: float.
            rate: float, what a bit costs.

        Returns:
            The integers (features, outputs); the bias, or None; and what the errors cost.
        """
        units = self._rows / step
        costs = self._weights * step**2
        first = units[: self._features]
        integers = np.where(np.abs(first) < _DEAD, 0, np.rint(first)).astype(np.int64)
        left = units[self._features :]
        for _ in range(_PASSES):
            found, left = self._one_pass(units, costs, rate, _Bits(integers))
            integers[self._order[: self._features]] = found
        wrong = units - np.concatenate([integers, left])
        cost = float(np.sum(costs * np.sum(wrong * (self._moments @ wrong), axis=0)))
        return integers, left[0] * step if len(left) else None, cost

    def _one_pass(self, units: np.ndarray, costs: np.ndarray, rate: float, bits: "_Bits"):
        order, passing, features = self._order, self._passing, self._features
        units = units[order]
        found = np.zeros((features, units.shape[1]), np.int64)
        for start in range(0, features, _BLOCK):
            end = min(start + _BLOCK, features)
            errors = np.zeros((end - start, units.shape[1]))
            for at in range(start, end):
                scale = passing[at, at]
                chosen = _choice(units[at], costs / scale**2, rate, bits.of(order[at]))
                found[at] = chosen if self._kept is None else chosen * self._kept[order[at]]
                errors[at - start] = (units[at] - found[at]) / scale
                units[at + 1 : end] -= np.outer(passing[at, at + 1 : end], errors[at - start])
            units[end:] -= passing[start:end, end:].T @ errors
        return found, units[features:]


def _choice(units: np.ndarray, costs: np.ndarray, rate: float, bits: tuple) -> np.ndarray:
    """The integer of least cost for each number: the nearest, the one below it, or zero."""
    zero, one, more = bits
    sizes, signs = np.abs(units), np.sign(units)
    nearest = np.rint(sizes)
    best, least = np.zeros_like(sizes), costs * sizes**2 + rate * zero
    for candidate in (nearest - 1, nearest):
        cost = costs * (sizes - candidate) ** 2 + rate * (one + more * (candidate - 1))
        better = (candidate >= 1) & (cost < least)
        best, least = np.where(better, candidate, best), np.where(better, cost, least)
    return (signs * best).astype(np.int64)


class _Bits:
    """About how many bits integers take, by how full the row and the column of each are."""

    def __init__(self, integers: np.ndarray) -> None:
        full = integers != 0
        rows, columns = full.shape
        share = (full.sum() + 0.5) / (full.size + 1)
        by_row = (full.sum(axis=1) + share) / (columns + 1)
        by_column = (full.sum(axis=0) + share) / (rows + 1)
        self._rows, self._columns = _odds(by_row), _odds(by_column) - _odds(share)
        extra = np.maximum(np.abs(integers) - 1, 0)
        mean = (extra.sum(axis=1) + 0.5) / (full.sum(axis=1) + 1)
        self._more = np.log2(1 + 1 / mean)
        self._stop = np.log2(1 + mean)

    def of(self, row: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Bits of a zero, of a one, and of each step more, in a row."""
        odds = np.clip(self._rows[row] + self._columns, -12, 8)
        nonzero = np.log2(1 + np.exp(-odds))
        return np.log2(1 + np.exp(odds)), nonzero + 1 + self._stop[row], self._more[row]


def _odds(share):
    return np.log(share / (1 - share))
