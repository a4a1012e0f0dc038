"""What is known about an integer before it is read: integers around it that were read before.

An array is read in lines along its last axis. The lines lie on a grid, as the pixels do that a
dense layer reads or the taps of a convolution, once for each input channel. A number is likely to
be zero where its neighbours on the grid, the rest of its line and the rest of its column are.
"""

from math import prod

import numpy as np

from keras_snare.codec.transforms import Grid

# Magnitudes above this are alike.
CAP = 15
# Lines cost time each; an array of more lines is read with several of them as one.
_MOST_LINES = 1 << 14

NEAR_LEVELS, COLUMN_LEVELS, ROW_LEVELS, LINE_LEVELS = 10, 10, 16, 16


class Surroundings:
    """The lines of one array, and what was read of it so far.

    Args:
        shape: tuple of int, of the array.
        grid: as of `Coding`, or None when no numbers are neighbours.
    """

    def __init__(self, shape: tuple[int, ...], grid: Grid | None) -> None:
        self.height, self.width, self.inputs, self.outputs = _lines(shape, grid)
        self._columns = np.zeros(self.outputs, np.int64)
        self._lines = 0
        self._last = 0
        self.start_input()

    def start_input(self) -> None:
        """Forgets the neighbours: the next line is the first of its grid."""
        size = (self.height + 2, self.width + 3)
        self._sizes = np.zeros((*size, self.outputs), np.int16)
        self._signs = np.zeros((*size, self.outputs), np.int8)
        self._sums = np.zeros(size, np.int64)

    def start_line(self, place: int) -> None:
        """Looks at the surroundings of a line.

        Args:
            place: int, where on the grid it is, row by row.
        """
        self._down, self._right = place // self.width + 2, place % self.width + 2
        # `self.near`, `self.column`, `self.signs`: by column; `self.row`: of the line.
        self.near = levels(self._around(self._sizes), NEAR_LEVELS)
        self.column = levels(self._columns * 16 // max(self._lines, 1), COLUMN_LEVELS)
        around = int(self._around(self._sums)) if self.height * self.width > 1 else self._last
        self.row = int(levels(np.array(around * 8 // self.outputs), ROW_LEVELS))
        above = self._signs[self._down - 1, self._right]
        self.signs = 3 * above.astype(np.int64) + self._signs[self._down, self._right - 1] + 4

    def line(self, total: int, count: int) -> int:
        """Returns the level of the line, of which `count` magnitudes make a `total` so far."""
        if not count:
            return 0
        return 1 + int(levels(np.array(total * 16 // count), LINE_LEVELS - 1))

    def end_line(self, line: np.ndarray) -> None:
        """Takes note of a line that was read."""
        sizes = np.minimum(np.abs(line), CAP)
        total = int(sizes.sum())
        self._sizes[self._down, self._right] = sizes
        self._signs[self._down, self._right] = np.sign(line)
        self._sums[self._down, self._right] = total
        self._columns += sizes
        self._lines += 1
        self._last = 8 * total

    def _around(self, values: np.ndarray) -> np.ndarray:
        down, right = self._down, self._right
        found = values[down - 1, right] + values[down, right - 1]
        found = 2 * found + values[down - 1, right - 1] + values[down - 1, right + 1]
        return found + values[down - 2, right] + values[down, right - 2]


def levels(numbers: np.ndarray, count: int) -> np.ndarray:
    """Returns about the logarithms of numbers, two steps to a doubling; zero is by itself."""
    digits, exponent = np.frexp(numbers.astype(np.float64))
    found = 2 * exponent - (digits < 0.70703125)
    return np.clip(np.where(numbers > 0, found, 0), 0, count - 1).astype(np.int64)


def _lines(shape: tuple[int, ...], grid: Grid | None) -> tuple[int, int, int, int]:
    """Height and width of the grid, how many grids there are, and how long a line is."""
    size = prod(shape)
    near = grid is not None and prod(grid[:2]) <= _MOST_LINES
    height, width = (*grid, 1)[:2] if grid and near else (1, 1)
    outputs = shape[-1] if len(shape) > 1 else size
    inputs = size // max(height * width * outputs, 1)
    if height * width * inputs * outputs != size:
        # The grid spans all axes.
        outputs, inputs = size // (height * width), 1
    if outputs == 1 or height * width * inputs > _MOST_LINES:
        outputs, inputs = inputs * outputs, 1
    return height, width, inputs, outputs
