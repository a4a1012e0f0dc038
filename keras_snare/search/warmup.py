"""The epochs before a search begins."""

import keras

from keras_snare.search.best_epoch import BestEpoch
from keras_snare.search.metric import Objective
from keras_snare.search.scores import Statistics
from keras_snare.search.session import SnareSearch
from keras_snare.surgery.optimizers import begin_averages


class Warmup:
    """Trains ordinarily for some epochs, then begins the search with the best model so far.

    That is the model after one of these epochs, or the model that `fit` was given: a pretrained
    model loses nothing by a first epoch that makes it worse.

    Args:
        model: the model in training.
        objective: says which metric is better.
        epochs: int; 0 and 1 both mean one epoch, since a search needs a metric to begin with.
    """

    def __init__(self, model: keras.Model, objective: Objective, epochs: int) -> None:
        self.model = model
        self.remaining = max(int(epochs), 1)  # 0 when the search has begun
        self.best = BestEpoch(model, objective)

    @property
    def over(self) -> bool:
        """Whether the search has begun."""
        return self.remaining == 0

    def given(self, metric: float | None) -> None:
        """Notes the metric of the model as `fit` received it, if it is known."""
        if metric is None:
            return
        # A restored model shall find the optimizer as new, too.
        begin_averages(self.model)
        self.best.note(metric, None)

    def epoch_ended(self, metric: float, statistics: Statistics, search: SnareSearch) -> None:
        """Notes an epoch; after the last one, begins the search with the best model so far."""
        self.remaining -= 1
        self.best.note(metric, statistics)
        if self.over:
            self.best.restore()
            search.begin(self.best.metric, self.best.statistics)
