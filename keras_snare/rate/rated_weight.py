"""One variable that is trained for few bytes: its exact numbers, its step and their spread."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_snare.codec.coding import Coding, rounded_step
from keras_snare.rate.bits import laplace_bits, laplace_slopes
from keras_snare.rate.cosines import spectrum, values_of
from keras_snare.rate.places import Place

# Of a variable that is all zeros, such as a bias in the beginning.
_FIRST_STEP = 0.02
# Bits that a file spends on finding out that a row or column is spread otherwise, by a factor e.
_SIDE = 5.0
_SMOOTH = 0.1
# Of a step: what single precision makes of a whole number after a transform and back.
_NEARLY = 0.01
# Logarithms further from zero would make numbers that are not finite.
_FAR = 20.0
_SMALLEST, _LARGEST = math.log(2.0**-40), math.log(2.0**40)


@dataclass(frozen=True)
class Slopes:
    """How the loss changes with one variable's numbers, and with what they are rounded by.

    Args:
        weight: tensor, with the numbers, in the basis that they are trained in.
        parameters: tensors, with `RatedWeight.parameters`.
    """

    weight: Any
    parameters: list[Any]


class RatedWeight:
    """Rounds a variable in every step, and trains the exact numbers behind it.

    The variable holds what the file will give back. What is trained lies beside it: the numbers in
    the basis of the file, their step, and a spread for each row and each column, of which the rows
    and columns that are nearly all zeros have a small one.

    Args:
        place: the variable, and the grid of its features if it is coded in a basis of cosines.
        coding: of the same variable before, or None. Its step is taken up where the numbers are
            multiples of it.

    Attributes:
        parameters: variables beside the numbers: logarithms of the step and of the spreads.
    """

    def __init__(self, place: Place, coding: Coding | None = None) -> None:
        self.place = place
        self.variable = place.variable
        shape = tuple(self.variable.shape)
        numbers = self._in_basis(ops.cast(self.variable.value, "float32"))
        # An array: a variable made of another's value would be one with it.
        self.latent = _variable(ops.convert_to_numpy(numbers))
        self._step = _variable(math.log(self._first_step(numbers, coding)))
        self._spreads = [_variable(0.0)]
        if len(shape) > 1:
            self._spreads += [_variable(np.zeros((math.prod(shape[:-1]), 1)))]
            self._spreads += [_variable(np.zeros((1, shape[-1])))]
        self.parameters = [self._step, *self._spreads]

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(self.variable.shape)

    @property
    def coding(self) -> Coding:
        """How the numbers are coded in a file."""
        step = rounded_step(float(self._rounded_step()))
        return Coding("dct" if self.place.cosines else "none", self.place.grid, step)

    def bits(self) -> Any:
        """Returns the estimated bits of all numbers."""
        units = self.latent.value / self._rounded_step()
        side = sum(_SIDE * ops.sum(_size(one.value) - _SMOOTH) for one in self._spreads[1:])
        return ops.sum(laplace_bits(self._table(units), self._decay())) + side

    def slopes(self, gradient: Any, price: Any) -> Slopes:
        """Returns how the loss and the price of the bits change together.

        Args:
            gradient: tensor, how the loss changes with the variable.
            price: tensor, the loss that one bit is worth.
        """
        step = self._rounded_step()
        units = self.latent.value / step
        by_units, by_decay = laplace_slopes(self._table(units), self._decay())
        by_units = price * ops.reshape(by_units, units.shape)
        gradient = self._in_basis(gradient)
        # Rounding passes gradients on, and what it leaves grows with the step.
        rest = ops.round(units) - units
        by_step = ops.sum(gradient * rest) * step - ops.sum(by_units * units)
        by_spreads = [-price * _summed(by_decay, tuple(one.shape)) for one in self._spreads]
        for at, one in enumerate(self._spreads[1:], start=1):
            by_spreads[at] += price * _SIDE * one.value / _size(one.value)
        return Slopes(gradient + by_units / step, [by_step, *by_spreads])

    def show_exact(self) -> None:
        """Puts the exact numbers into the variable, for the optimizer."""
        self.variable.assign(ops.cast(self.latent.value, self.variable.dtype))

    def take(self) -> None:
        """Takes the exact numbers from the variable, and puts the rounded ones there."""
        self.latent.assign(ops.cast(self.variable.value, "float32"))
        self.show_rounded()

    def show_rounded(self) -> None:
        """Puts what the file will give back into the variable."""
        self.variable.assign(ops.cast(self._rounded(), self.variable.dtype))

    def take_over(self) -> None:
        """Takes what something other than the training step has put into the variable."""
        shown = ops.cast(self.variable.value, "float32")
        found = self._in_basis(shown)
        step = self._rounded_step()
        near = ops.abs(found - step * ops.round(self.latent.value / step)) <= _NEARLY * step
        # What is not a number is near to nothing.
        self.latent.assign(ops.where(near, self.latent.value, found))

    def _first_step(self, numbers: Any, coding: Coding | None) -> float:
        if coding is not None and (coding.transform == "dct") == self.place.cosines:
            units = numbers / coding.step
            if float(ops.max(ops.abs(units - ops.round(units)))) < _NEARLY:
                return coding.step
        return float(ops.std(numbers)) / 2 or _FIRST_STEP

    def _rounded(self) -> Any:
        step = self._rounded_step()
        numbers = step * ops.round(self.latent.value / step)
        basis = self.place.basis
        return numbers if basis is None else values_of(numbers, basis)

    def _rounded_step(self) -> Any:
        """The step, of as few digits as a file stores."""
        logarithm = ops.clip(self._step.value, _SMALLEST, _LARGEST) / math.log(2.0)
        whole = ops.floor(logarithm)
        digits = ops.round(ops.power(2.0, logarithm - whole) * 128.0) / 128.0
        return digits * ops.power(2.0, whole)

    def _table(self, units: Any) -> Any:
        return ops.reshape(units, (-1, units.shape[-1])) if len(self._spreads) > 1 else units

    def _decay(self) -> Any:
        """How fast the distribution of each number falls, for a table of them."""
        spreads = [ops.clip(one.value, -_FAR, _FAR) for one in self._spreads]
        every, *along = [ops.exp(-one) for one in spreads]
        return every * along[0] * along[1] if along else every

    def _in_basis(self, values: Any) -> Any:
        basis = self.place.basis
        return values if basis is None else spectrum(values, basis)


def _variable(value: Any) -> keras.Variable:
    return keras.Variable(value, dtype="float32", trainable=False)


def _size(value: Any) -> Any:
    """The absolute value, smooth at zero, where it is greater."""
    return ops.sqrt(value**2 + _SMOOTH**2)


def _summed(table: Any, shape: tuple[int, ...]) -> Any:
    """Sums along the axes in which a spread has one number for all."""
    axes = tuple(at for at, size in enumerate(shape) if size == 1)
    return ops.sum(table, axis=axes, keepdims=True) if shape else ops.sum(table)
