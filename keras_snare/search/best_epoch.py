"""The best model among those that training passes through."""

import math
from typing import Any

import keras

from keras_snare.search.metric import Objective
from keras_snare.search.scores import Statistics
from keras_snare.surgery import Snapshot, take_snapshot


class BestEpoch:
    """Keeps the state of a model when its metric was best.

    Args:
        model: the model in training.
        objective: says which metric is better.
    """

    def __init__(self, model: keras.Model, objective: Objective) -> None:
        self.model = model
        self.objective = objective
        self.metric = math.nan
        self.statistics: Statistics = None
        self._snapshot: Snapshot | None = None

    def note(self, metric: float, statistics: Statistics) -> None:
        """Looks at the model after an epoch, or as `fit` received it."""
        if not math.isfinite(self.metric) or self.objective.loss(metric, self.metric) < 0:
            self.metric, self.statistics = metric, statistics
            # Given up before the next one is made, since each is as large as model and optimizer.
            self._snapshot = None
            self._snapshot = take_snapshot(self.model)
        elif self.statistics is None:
            self.statistics = statistics

    def values(self) -> list[Any]:
        """Returns the values at the best of the model's variables, then of its optimizer's."""
        return [] if self._snapshot is None else self._snapshot.held_values()

    def restore(self) -> None:
        """Makes the model the best one again."""
        if self._snapshot is not None:
            self._snapshot.restore()
            self._snapshot = None
