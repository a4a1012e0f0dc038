"""Probabilities of one kind of bit, learned from the bits before, in several contexts at once.

Each context counts its zeros and ones; the logarithms of their ratios are added up with weights
that are learned too. Reader and writer must come to the same probability to the last bit, on
whatever machine: so sums are over integers, logarithms are looked up in tables that are exact, and
what is left are single additions, multiplications and divisions, which are the same everywhere.
"""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np

from keras_snare.codec.bit_stream import BitStream

_TABLE_BITS = 12
# Log ratios are looked up in steps of 1/256, up to 12.
_FINE, _FAR = 256, 12
# For sums over a batch: errors and log ratios as integers.
_ERROR_UNIT, _RATIO_UNIT = 2.0**16, 2.0**8
# A context forgets when it has seen so much.
_LIMIT = 1 << 10
# A half added to each count, both doubled (Krichevsky and Trofimov).
_START = 1
# Steps of the weights: as Newton's method takes them for each weight, shortened.
_STEP, _FIRST_BEND = 0.3, 5.0
_HEAVIEST = 16.0


@lru_cache(maxsize=1)
def _logarithms() -> np.ndarray:
    with localcontext() as context:
        context.prec = 25
        numbers = [float(Decimal(number).ln()) for number in range(1, (1 << _TABLE_BITS) + 1)]
    return np.array([0.0, *numbers])


@lru_cache(maxsize=1)
def _shares() -> np.ndarray:
    """The share of ones for each log ratio."""
    with localcontext() as context:
        context.prec = 25
        found = [
            float(1 / (1 + (Decimal(-number) / _FINE).exp()))
            for number in range(-_FAR * _FINE, _FAR * _FINE + 1)
        ]
    return np.array(found)


def _logarithm(numbers: np.ndarray) -> np.ndarray:
    """The natural logarithm of positive integers, by the table."""
    table = _logarithms()
    extra = np.maximum(np.frexp(numbers.astype(np.float64))[1] - _TABLE_BITS, 0)
    return table[numbers >> extra] + extra * table[2]


class Mixture:
    """The probability of a bit, from its context in several ways of looking at it.

    Args:
        sizes: how many contexts each way tells apart.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._counts = [np.zeros((2, size), np.int64) for size in sizes]
        self._weights = [1.4 / len(sizes)] * len(sizes)
        self._bends = [_FIRST_BEND] * len(sizes)

    def code(self, stream: BitStream, bits: Any, contexts: Sequence[np.ndarray]) -> np.ndarray:
        """Passes bits through a stream, and learns from them.

        Args:
            stream: what writes, reads or measures them.
            bits: array of 0 and 1; None when they are read.
            contexts: for each way, an array with the context of each bit.

        Returns:
            The bits.
        """
        ratios = [_ratio(*one) for one in zip(self._counts, contexts, strict=True)]
        total = self._weights[0] * ratios[0]
        for weight, ratio in zip(self._weights[1:], ratios[1:], strict=True):
            total = total + weight * ratio
        places = np.rint(np.clip(total, -_FAR, _FAR) * _FINE).astype(np.int64) + _FAR * _FINE
        ones = _shares()[places]
        found = stream.code(bits, ones)
        self._weigh(found, ones, ratios)
        for counts, at in zip(self._counts, contexts, strict=True):
            _count(counts, at, found)
        return found

    def _weigh(self, bits: np.ndarray, ones: np.ndarray, ratios: list[np.ndarray]) -> None:
        errors = np.rint((bits - ones) * _ERROR_UNIT).astype(np.int64)
        spread = np.rint(ones * (1.0 - ones) * _ERROR_UNIT).astype(np.int64)
        for number, ratio in enumerate(ratios):
            whole = np.rint(ratio * _RATIO_UNIT).astype(np.int64)
            slope = int(np.dot(errors, whole)) / (_ERROR_UNIT * _RATIO_UNIT)
            self._bends[number] += int(np.dot(spread, whole**2)) / (_ERROR_UNIT * _RATIO_UNIT**2)
            moved = self._weights[number] + _STEP * slope / self._bends[number]
            self._weights[number] = min(max(moved, -_HEAVIEST), _HEAVIEST)


def _ratio(counts: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The logarithm of ones by zeros in each context."""
    if counts.shape[1] > len(at):
        logs = _logarithm(2 * counts[:, at] + _START)
        return logs[1] - logs[0]
    logs = _logarithm(2 * counts + _START)
    return (logs[1] - logs[0])[at]


def _count(counts: np.ndarray, at: np.ndarray, bits: np.ndarray) -> None:
    np.add.at(counts, (bits, at), 1)
    full = at[counts[0, at] + counts[1, at] > _LIMIT]
    if len(full):
        counts[:, np.unique(full)] //= 2
