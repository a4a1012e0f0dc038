"""The cosine transform of stored integers, the same to the last bit on every machine.

What a file holds are integers. Their transform back is done with cosines that are integers too,
and in floating-point numbers that hold every sum exactly: no order of adding them, which differs
from processor to processor, changes the result.
"""

from functools import lru_cache
from math import isqrt, prod

import numpy as np

from keras_snare.errors import CodecError

Grid = tuple[int, ...]

# Cosines are this exact at most; less where the integers are so large that sums would not be.
_MOST_BITS = 24
_LEAST_BITS = 12
# Integers up to here are exact in float64, whatever is added in between.
_EXACT = 2**53
# Digits in the recurrence below: its error grows with the square of the length.
_DIGITS = 160
_PI_DIGITS = 200

# Longer lines would take much time.
MAX_LENGTH = 4096
# Numbers of a basis that are held at once, 4 MB.
_PART = 2**19
_ALL = slice(None)


@lru_cache(maxsize=1)
def _pi() -> int:
    """Pi in fixed point, by Machin's formula in integers."""

    def inverse_tangent(number: int) -> int:
        term = total = (1 << _PI_DIGITS) // number
        divisor = 1
        while term:
            term //= -number * number
            divisor += 2
            total += term // divisor
        return total

    return 4 * (4 * inverse_tangent(5) - inverse_tangent(239))


@lru_cache(maxsize=8)
def _waves(length: int) -> tuple[int, ...]:
    """The cosines of all multiples of pi / (2 length), one turn, in fixed point."""
    one = 1 << _DIGITS
    angle = (_pi() >> (_PI_DIGITS - _DIGITS)) // (2 * length)
    first, term, at = one, one, 0
    while term:
        at += 2
        term = (((term * angle) >> _DIGITS) * angle >> _DIGITS) // (at * (at - 1))
        first += -term if at % 4 else term
    found = [one, first]
    for _ in range(4 * length - 2):
        found.append((2 * first * found[-1] >> _DIGITS) - found[-2])
    return tuple(found)


@lru_cache(maxsize=2)
def _entries(length: int, bits: int) -> tuple[np.ndarray, float]:
    """What can stand in the basis, by place in one turn, and what stands in its first column."""
    root = isqrt((2 << 2 * _DIGITS) // length)
    half = 1 << (2 * _DIGITS - bits - 1)
    found = [(wave * root + half) >> (2 * _DIGITS - bits) for wave in _waves(length)]
    return np.array(found, dtype=np.float64), (isqrt((4 << 2 * bits) // length) + 1) // 2


def integer_cosines(length: int, bits: int, part: slice = _ALL) -> np.ndarray:
    """Returns the orthonormal basis of the DCT-II as integers: `(length, frequencies)`.

    Args:
        length: int, features along a line.
        bits: int, the basis is multiplied by two to this power, then rounded.
        part: slice, of the features.

    Returns:
        float64 array of whole numbers. They are computed in integers throughout.
    """
    turn, constant = _entries(length, bits)
    places = 2 * np.arange(length)[part, None] + 1
    found = turn[(places * np.arange(length)) % (4 * length)]
    found[:, 0] = constant
    return found


def exact_values(integers: np.ndarray, grid: Grid) -> tuple[np.ndarray, int]:
    """Returns what whole coefficients stand for, exactly the same everywhere.

    Args:
        integers: array of coefficients, as `layers.cosines.spectrum` gives them but whole.
        grid: `(length,)` or `(height, width, ...)`; what comes third is not transformed.

    Returns:
        float64 array of whole numbers, and to which power of two they are too large.

    Raises:
        CodecError: when the integers are too large for exact sums.
    """
    lengths = grid[:2]
    found = integers.astype(np.float64).reshape(*lengths, -1)
    bits = _exact_bits(integers.reshape(prod(lengths), -1), lengths)
    for axis, length in enumerate(lengths):
        found = np.moveaxis(_along(np.moveaxis(found, axis, 0), length, bits), 0, axis)
    return found.reshape(integers.shape), bits * len(lengths)


def _along(values: np.ndarray, length: int, bits: int) -> np.ndarray:
    """The transform back along the first axis, a part of the basis at a time."""
    found = np.empty_like(values)
    size = max(_PART // length, 1)
    for start in range(0, length, size):
        part = slice(start, start + size)
        found[part] = np.tensordot(integer_cosines(length, bits, part), values, 1)
    return found


def fits(integers: np.ndarray, grid: Grid) -> bool:
    """Tells whether `exact_values` takes these integers."""
    lengths = grid[:2]
    return max(lengths) <= MAX_LENGTH and (
        _bits_left(integers.reshape(prod(lengths), -1), lengths) >= _LEAST_BITS
    )


def _exact_bits(columns: np.ndarray, lengths: Grid) -> int:
    bits = _bits_left(columns, lengths)
    if bits < _LEAST_BITS or max(lengths) > MAX_LENGTH:
        raise CodecError(
            "Expected coefficients of a cosine transform that can be summed exactly. Received: "
            f"a line of {max(lengths)} or coefficients too large. The file is damaged."
        )
    return min(bits, _MOST_BITS)


def _bits_left(columns: np.ndarray, lengths: Grid) -> int:
    """The digits that cosines may have for every sum in between to be exact.

    No entry of a basis is above the root of two by its length, so that a sum over all axes is not
    above that of the coefficients times these. Rounded entries are above by less than the half that
    is left free.
    """
    total = int(np.abs(columns).sum(axis=0, dtype=np.int64).max(initial=0)) + 1
    most = [(2, max(length, 2)) for length in lengths]
    room = isqrt((_EXACT // 2) ** 2 * prod(b for _, b in most) // prod(a for a, _ in most))
    return (room // total).bit_length() // len(lengths) - 1
