"""Arrays of integers in few bits: whether zero, the sign, the magnitude, each as is likely here.

Nothing is sent ahead: how likely a bit is follows from those that were read before, see
`surroundings.py` and `mixing.py`. Lines and columns of zeros cost next to nothing.
"""

from math import prod
from typing import Any

import numpy as np

from keras_snare.codec.bit_stream import BitCounter, BitReader, BitStream, BitWriter
from keras_snare.codec.mixing import Mixture
from keras_snare.codec.surroundings import (
    CAP,
    COLUMN_LEVELS,
    LINE_LEVELS,
    NEAR_LEVELS,
    ROW_LEVELS,
    Surroundings,
)
from keras_snare.codec.transforms import Grid
from keras_snare.errors import CodecError

# An integer above this is an error in a file.
LARGEST = 2**30
# Integers are read in batches: small, as each learns from those before, but not too many.
_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES = 4, 128, 4096
_DIGITS = 31
# For each shorter line a bit says whether it is all zeros; longer ones show it by their beginning.
_SHORT_LINE = 64


def code_integers(
    stream: BitStream, integers: Any, shape: tuple[int, ...], grid: Grid | None = None
) -> np.ndarray:
    """Passes an array of integers through a stream of bits.

    Args:
        stream: what writes, reads or measures them.
        integers: int64 array; None when they are read.
        shape: tuple of int.
        grid: what the leading features lie on, as of `Coding`.

    Returns:
        The integers.

    Raises:
        CodecError: when what is read was not written so.
    """
    if not prod(shape):
        return np.zeros(shape, np.int64)
    return _ArrayCoder(stream, shape, grid).code(integers)


def write_integers(integers: np.ndarray, grid: Grid | None = None) -> bytes:
    """Returns an array of integers in few bytes; its shape is not among them."""
    writer = BitWriter()
    code_integers(writer, integers, integers.shape, grid)
    return writer.content()


def read_integers(content: bytes, shape: tuple[int, ...], grid: Grid | None = None) -> np.ndarray:
    """Returns the integers that `write_integers` wrote.

    Raises:
        CodecError: when they are damaged.
    """
    reader = BitReader(content)
    found = code_integers(reader, None, shape, grid)
    reader.check_end()
    return found


def coded_bytes(integers: np.ndarray, grid: Grid | None = None) -> float:
    """Returns how many bytes an array of integers takes up in a file."""
    counter = BitCounter()
    code_integers(counter, integers, integers.shape, grid)
    return counter.bits / 8


class _ArrayCoder:
    """Passes one array through a stream."""

    def __init__(self, stream: BitStream, shape: tuple[int, ...], grid: Grid | None) -> None:
        self._stream, self._shape = stream, shape
        self._around = around = Surroundings(shape, grid)
        near, column, row, line = NEAR_LEVELS, COLUMN_LEVELS, ROW_LEVELS, LINE_LEVELS
        pairs = [near * column, column * row, near * line, row * line, column * line]
        self._any = Mixture([row, 1])
        self._zero = Mixture([*pairs, around.outputs])
        self._sign = Mixture([1, 9])
        self._more = Mixture([CAP * size for size in (near, column, row, 1)])
        self._digits = Mixture([_DIGITS])
        self._coarse = Mixture([1])
        self._most = max(_LARGEST_BATCH, prod(shape) // _BATCHES)
        self._done = 0

    def code(self, integers: Any) -> np.ndarray:
        """Returns the integers."""
        shift = self._code_shift(None if integers is None else _shift(integers))
        half = (1 << shift) >> 1
        lines = (self._around.height * self._around.width, self._around.inputs, -1)
        given = None if integers is None else (integers.reshape(lines) + half) >> shift
        found = np.zeros((*lines[:2], self._around.outputs), np.int64)
        for one in range(lines[1]):
            self._around.start_input()
            for place in range(lines[0]):
                known = None if given is None else given[place, one]
                found[place, one] = self._code_line(place, known)
        found = found.reshape(self._shape) << shift
        if shift:
            low = None if integers is None else integers - found + half
            found = found + self._code_low(low, shift) - half
        if np.abs(found).max() > LARGEST:
            raise CodecError(
                f"Expected integers up to {LARGEST}. Received: {np.abs(found).max()}. The file is "
                "damaged: fetch it again."
            )
        return found

    def _code_shift(self, shift: int | None) -> int:
        """How many low digits are written as they are, which says nothing about one another."""
        for found in range(_DIGITS):
            more = None if shift is None else np.array([int(shift > found)])
            if not self._stream.code(more, np.array([1 / 16]))[0]:
                return found
        raise CodecError("Expected a shift below 31. Received: more. The file is damaged.")

    def _code_low(self, low: Any, shift: int) -> np.ndarray:
        found = np.zeros(prod(self._shape), np.int64)
        given = None if low is None else low.reshape(-1)
        evenly = np.full(len(found), 0.5)
        for digit in reversed(range(shift)):
            bits = None if given is None else (given >> digit) & 1
            found = 2 * found + self._stream.code(bits, evenly)
        return found.reshape(self._shape)

    def _code_line(self, place: int, given: Any) -> np.ndarray:
        around = self._around
        around.start_line(place)
        line = np.zeros(around.outputs, np.int64)
        total = at = 0
        if len(line) <= _SHORT_LINE and not self._code_any(given):
            at = len(line)
        while at < len(line):
            size = min(max(self._done // 64, _SMALLEST_BATCH), self._most)
            part = slice(at, min(at + size, len(line)))
            level = around.line(total, at)
            line[part] = self._code_batch(None if given is None else given[part], part, level)
            total += int(np.minimum(np.abs(line[part]), CAP).sum())
            self._done += part.stop - at
            at = part.stop
        around.end_line(line)
        return line

    def _code_any(self, given: Any) -> bool:
        """Whether anything in a line is not zero."""
        bits = None if given is None else np.array([int(given.any())], np.int32)
        contexts = [np.array([self._around.row]), np.array([0])]
        return bool(self._any.code(self._stream, bits, contexts)[0])

    def _code_batch(self, given: Any, part: slice, line: int) -> np.ndarray:
        around = self._around
        near, column, row = around.near[part], around.column[part], around.row
        contexts = [
            near * COLUMN_LEVELS + column,
            column * ROW_LEVELS + row,
            near * LINE_LEVELS + line,
            np.full(len(near), row * LINE_LEVELS + line),
            column * LINE_LEVELS + line,
            np.arange(part.start, part.stop),
        ]
        bits = None if given is None else (given != 0).astype(np.int32)
        at = np.flatnonzero(self._zero.code(self._stream, bits, contexts))
        found = np.zeros(len(near), np.int64)
        if len(at):
            known = None if given is None else given[at]
            found[at] = self._code_nonzero(known, part.start + at, np.zeros_like(at))
        return found

    def _code_nonzero(self, given: Any, at: np.ndarray, zeros: np.ndarray) -> np.ndarray:
        bits = None if given is None else (given < 0).astype(np.int32)
        negative = self._sign.code(self._stream, bits, [zeros, self._around.signs[at]])
        sizes = self._code_sizes(None if given is None else np.abs(given), at)
        return np.where(negative == 1, -sizes, sizes)

    def _code_sizes(self, given: Any, at: np.ndarray) -> np.ndarray:
        """Magnitudes of 1 and more: one bit for each step up to a cap, then digits."""
        near, column, row = self._around.near, self._around.column, self._around.row
        found, going = np.ones(len(at), np.int64), np.arange(len(at))
        for step in range(CAP):
            if not len(going):
                break
            places = at[going]
            contexts = [
                step * NEAR_LEVELS + near[places],
                step * COLUMN_LEVELS + column[places],
                np.full(len(going), step * ROW_LEVELS + row),
                np.full(len(going), step),
            ]
            bits = None if given is None else (given[going] > step + 1).astype(np.int32)
            going = going[self._more.code(self._stream, bits, contexts) == 1]
            found[going] += 1
        if len(going):
            known = None if given is None else given[going] - CAP
            found[going] = CAP + self._code_far(known, len(going))
        return found

    def _code_far(self, given: Any, count: int) -> np.ndarray:
        """Integers of 1 and more: how many digits, then the digits after the first."""
        lengths, going = np.zeros(count, np.int64), np.arange(count)
        for length in range(_DIGITS):
            bits = None if given is None else (given[going] >= 2 << length).astype(np.int32)
            contexts = [np.full(len(going), length)]
            going = going[self._digits.code(self._stream, bits, contexts) == 1]
            lengths[going] += 1
            if not len(going):
                break
        found = np.ones(count, np.int64)
        for digit in range(int(lengths.max())):
            going = np.flatnonzero(lengths > digit)
            bits = None if given is None else (given[going] >> (lengths[going] - 1 - digit)) & 1
            more = self._stream.code(bits, np.full(len(going), 0.5))
            found[going] = 2 * found[going] + more
        return found


def _shift(integers: np.ndarray) -> int:
    mean = int(np.abs(integers).sum(dtype=np.int64)) // integers.size
    return max(mean.bit_length() - 3, 0)
