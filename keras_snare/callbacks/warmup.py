"""The epochs before a search begins."""

from keras_snare.search import Objective, SnareSearch
from keras_snare.search.scores import Statistics
from keras_snare.surgery import Snapshot, take_snapshot


class Warmup:
    """Trains ordinarily for some epochs and begins the search with the best of them.

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

    def epoch_ended(self, metric: float, statistics: Statistics, search: SnareSearch) -> None:
        """Notes an epoch; after the last one, begins the search with the best one's model."""
        self.remaining -= 1
        if self._best is None or not self.objective.passes(self._best[0], metric):
            snapshot = None if self.over else take_snapshot(self.model)
            self._best = (metric, statistics, snapshot)
        if self.over:
            best, found, snapshot = self._best
            if snapshot is not None:
                snapshot.restore()
            search.begin(best, found)
            self._best = None
