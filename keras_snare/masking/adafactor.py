"""Keeps `Adafactor` from dividing zero by zero under masks."""

from typing import Any

import keras

from keras_snare.surgery.optimizers import optimizers_of

_LEAST = 1e-16


class AdafactorFloor:
    """Raises the constant that `Adafactor` adds to squared gradients, while masks hold.

    It estimates the square of a gradient as the product of its row's mean and its column's. Where
    masks prune a whole row and a whole column, both are that constant, 1e-30 by default, and their
    product is zero in float32. What is divided by its root becomes NaN, and soon all weights do.

    Args:
        optimizer: the optimizer of a compiled model.
    """

    def __init__(self, optimizer: Any) -> None:
        self._raised = [
            one
            for one in optimizers_of(optimizer)
            if isinstance(one, keras.optimizers.Adafactor) and one.epsilon_1 < _LEAST
        ]
        self._given: list[float] = []

    def attach(self) -> None:
        """Raises it; the training step has to be compiled after this."""
        self._given = [one.epsilon_1 for one in self._raised]
        for one in self._raised:
            one.epsilon_1 = _LEAST

    def detach(self) -> None:
        """Puts it back."""
        for one, given in zip(self._raised, self._given, strict=False):
            one.epsilon_1 = given
        self._given = []
