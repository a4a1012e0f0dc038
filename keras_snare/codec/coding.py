"""How the numbers of one variable become integers, and integers numbers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_snare.arguments import is_whole
from keras_snare.codec.transforms import Grid, exact_values, fits
from keras_snare.layers.cosines import spectrum

TRANSFORMS = ("none", "dct")

# An integer above this is no use of quantisation, and would not be exact after the transform.
LARGEST = 2**30


@dataclass(frozen=True)
class Coding:
    """How one variable is quantised.

    Args:
        transform: str, "none" for the numbers as they are, or "dct" for the coefficients of their
            cosine transform.
        grid: tuple of int or None, what the leading features lie on, as `Flatten` puts them row by
            row: `(length,)`, `(height, width)` or `(height, width, channels)`. The transform goes
            along height and width. Without a transform it says which numbers are neighbours.
        step: float, the distance of two values that an integer tells apart. It is rounded to eight
            binary digits, which is what a file stores.

    Raises:
        ValueError: when an argument is out of range.

    Example:

    >>> coding = Coding("dct", (28, 28), 0.01)
    >>> integers = to_integers(np.zeros((784, 512)), coding)
    >>> from_integers(integers, coding, (784, 512), "float32").shape
    (784, 512)
    """

    transform: str = "none"
    grid: Grid | None = None
    step: float = 1.0

    def __post_init__(self) -> None:
        if self.transform not in TRANSFORMS:
            raise ValueError(
                f"`transform` is one of {TRANSFORMS}. Received: transform={self.transform!r}"
            )
        object.__setattr__(self, "grid", _checked_grid(self.grid, self.transform))
        object.__setattr__(self, "step", rounded_step(self.step))


def rounded_step(step: float) -> float:
    """Returns the nearest step that a file can store: eight binary digits.

    Raises:
        ValueError: when it is no positive number from 2 ** -120 to 2 ** 120.
    """
    number = float(step)
    if not 2.0**-120 <= number <= 2.0**120:
        raise ValueError(
            f"`step` is a positive number, from 2 ** -120 to 2 ** 120. Received: step={step!r}"
        )
    digits, exponent = math.frexp(number)
    return math.ldexp(round(digits * 256), exponent - 8)


def to_integers(value: Any, coding: Coding) -> np.ndarray:
    """Returns the nearest integers to a variable in units of the step, an array of its shape.

    Args:
        value: array of numbers.
        coding: see `Coding`; its grid must be that of the leading features.

    Raises:
        ValueError: when the grid is not that of the value, or the step so small that an integer
            would be too large to be exact.
    """
    units = in_units(value, coding)
    if not np.all(np.abs(units) <= LARGEST):
        raise ValueError(
            "Expected numbers that are finite, and below 2 ** 30 steps. Received: "
            f"step={coding.step!r}. Take a larger step."
        )
    integers = np.rint(units).astype(np.int64)
    if coding.transform == "dct" and coding.grid and not fits(integers, coding.grid):
        raise ValueError(
            "Expected coefficients that can be transformed back exactly. Received: "
            f"step={coding.step!r}. Take a larger step, or transform='none'."
        )
    return integers


def in_units(value: Any, coding: Coding) -> np.ndarray:
    """Returns the numbers that are rounded to integers: of a variable, in units of the step.

    Raises:
        ValueError: when the grid is not that of the value.
    """
    numbers = np.asarray(value).astype(np.float64)
    if coding.grid is not None:
        check_grid(coding.grid, numbers.shape)
    if coding.transform == "dct" and coding.grid:
        numbers = spectrum(numbers, coding.grid)
    return numbers / coding.step


def from_integers(
    integers: np.ndarray, coding: Coding, shape: tuple[int, ...], dtype: Any
) -> np.ndarray:
    """Returns what integers stand for, the same to the last bit on every machine.

    Args:
        integers: array of `shape`.
        coding: the one that made them.
        shape: tuple of int.
        dtype: of the variable.

    Raises:
        CodecError: when the integers are too large for an exact transform.
    """
    numbers, power = integers.reshape(shape).astype(np.float64), 0
    if coding.transform == "dct" and coding.grid:
        numbers, power = exact_values(integers.reshape(shape), coding.grid)
    return (numbers * math.ldexp(coding.step, -power)).astype(dtype)


def check_grid(grid: Grid, shape: tuple[int, ...]) -> None:
    """Checks that leading features lie on a grid: `(784, 512)` on `(28, 28)`.

    Raises:
        ValueError: when they do not.
    """
    sizes = [math.prod(shape[: at + 1]) for at in range(len(shape))]
    if math.prod(grid) not in sizes:
        raise ValueError(
            f"`grid` is what the leading features of {tuple(shape)} lie on. Received: grid={grid}"
        )


def _checked_grid(grid: Any, transform: str) -> Grid | None:
    if grid is None:
        if transform != "none":
            raise ValueError(
                f"transform={transform!r} needs the grid of the features. Received: grid=None"
            )
        return None
    return plain_grid(grid, "grid")


def plain_grid(grid: Any, name: str) -> Grid:
    """Returns what features lie on as a tuple of integers.

    Args:
        grid: what was given.
        name: str, of the argument.

    Raises:
        ValueError: when it is none.
    """
    found = tuple(grid) if isinstance(grid, Iterable) and not isinstance(grid, str) else ()
    if not 1 <= len(found) <= 3 or not all(is_whole(one) and one >= 1 for one in found):
        raise ValueError(
            f"`{name}` is (length,), (height, width) or (height, width, channels), of integers, 1 "
            f"or more. Received: {name}={grid!r}"
        )
    return tuple(map(int, found))
