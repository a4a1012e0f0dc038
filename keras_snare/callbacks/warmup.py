"""The epochs before a search begins."""

import math

from keras_snare.search import Objective, SnareSearch
from keras_snare.search.scores import Statistics
from keras_snare.surgery import Snapshot, take_snapshot


class Warmup:
    """Trains ordinarily for some epochs, then begins the search with the best model so far.

    That is the model after one of these epochs, or the model that `fit` was given: a pretrained
    model loses nothing by a first epoch that makes it worse.

    Args:
        model: the model in training.
        objective: says which metric is better.
        epochs: int; 0 and 1 both mean one epoch, since a search needs a metric to begin with.
    """

    def __init__(self, model, objective: Objective, epochs: int):
        self.model = model
        self.objective = objective
        self.remaining = max(epochs, 1)
        self._best: tuple[float, Statistics, Snapshot | None] | None = None

    @property
    def over(self) -> bool:
        """Whether the search has begun."""
        return self.remaining == 0

    def given(self, metric: float | None) -> None:
        """Notes the metric of the model as `fit` received it, where that could be evaluated."""
        if metric is not None:
            # A restored model shall find the optimizer as new, too.
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            self._best = (metric, None, take_snapshot(self.model))

    def epoch_ended(self, metric: float, statistics: Statistics, search: SnareSearch) -> None:
        """Notes an epoch; after the last one, begins the search with the best model so far."""
        self.remaining -= 1
        if self._best is None or self._improves(metric, self._best[0]):
            self._best = (metric, statistics, None if self.over else take_snapshot(self.model))
        elif self._best[1] is None:
            self._best = (self._best[0], statistics, self._best[2])
        if self.over:
            best, found, snapshot = self._best
            if snapshot is not None:
                snapshot.restore()
            search.begin(best, found)
            self._best = None

    def _improves(self, metric: float, best: float) -> bool:
        return not math.isfinite(best) or self.objective.loss(metric, best) < 0
