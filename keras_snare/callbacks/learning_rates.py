"""Callbacks that set the learning rate, taken back with the training that they belong to."""

from collections.abc import Callable
from typing import Any

import keras

# What `ReduceLROnPlateau` remembers of the epochs so far.
_PLATEAU = ("best", "wait", "cooldown_counter")


class LearningRates:
    """Has Keras's callbacks for the learning rate follow a training that begins anew.

    `LearningRateScheduler` is told the epoch of the training instead of that of `fit`;
    `ReduceLROnPlateau` forgets what it saw after the point that training goes back to. The rate
    itself, and the schedules that go by the optimizer's iterations, are part of the optimizer.

    Args:
        callbacks: those of the running `fit`.
        position: turns an epoch of `fit` into one of the training.
    """

    def __init__(self, callbacks: list[Any], position: Callable[[int], int]) -> None:
        kinds = keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau
        self._schedulers, self._plateaus = (
            [one for one in callbacks if isinstance(one, kind)] for kind in kinds
        )
        self._position = position
        self._given: list[Callable] = []
        self._seen: list[dict[str, Any]] = []

    def attach(self) -> None:
        """Begins to tell the schedulers the epoch of the training."""
        self._given = [one.schedule for one in self._schedulers]
        for one in self._schedulers:
            one.schedule = self._shifted(one.schedule)

    def detach(self) -> None:
        """Leaves the schedulers as they were."""
        for one, schedule in zip(self._schedulers, self._given, strict=False):
            one.schedule = schedule
        self._given = []

    def keep(self) -> None:
        """Notes the point that training will go back to."""
        self._seen = [{name: getattr(one, name) for name in _PLATEAU} for one in self._plateaus]

    def rewind(self) -> None:
        """Goes back to it."""
        for one, seen in zip(self._plateaus, self._seen, strict=True):
            for name, value in seen.items():
                setattr(one, name, value)

    def _shifted(self, schedule: Callable) -> Callable:
        # Keras tries with the rate as a second argument, then without.
        return lambda epoch, *rate: schedule(self._position(epoch), *rate)
