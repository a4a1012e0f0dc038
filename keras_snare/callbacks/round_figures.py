"""The figures of one round, gathered from the logs of its epochs."""

import math

from keras_snare.callbacks.running_fit import unknown_monitor
from keras_snare.masking import Masks
from keras_snare.report import RoundRow
from keras_snare.search import Objective


class RoundFigures:
    """Follows a round from epoch to epoch.

    Args:
        number: int, of the round.
        masks: that it trains with.
        objective: the monitored metric.
        loss: str, name of the loss in the logs.
    """

    def __init__(self, number: int, masks: Masks, objective: Objective, loss: str) -> None:
        self.objective = objective
        self.loss = loss
        self._given = {"round": number, "sparsity": masks.sparsity, "kept": masks.kept}
        self._epochs = 0
        self._best: float | None = None
        self._final: float | None = None
        self._lowest: tuple[float, int, int, float | None] | None = None

    def note(self, logs: dict, iteration: int) -> None:
        """Takes the logs of an epoch, and the updates of the weights up to its end.

        Raises:
            ValueError: when the monitored metric is not among the logs.
        """
        self._epochs += 1
        monitor = self.objective.monitor
        validated = any(name.startswith("val_") for name in logs)
        if monitor not in logs and (validated or not monitor.startswith("val_")):
            raise ValueError(unknown_monitor(monitor, logs))
        metric = None
        if monitor in logs:
            metric = self._final = float(logs[monitor])
            if math.isfinite(metric):
                best = metric if self._best is None else self._best
                self._best = self.objective.better(metric, best)
        loss = float(logs.get(self.loss, math.nan))
        if math.isfinite(loss) and (self._lowest is None or loss < self._lowest[0]):
            self._lowest = (loss, self._epochs, iteration, metric)

    def row(self) -> RoundRow:
        """Returns the figures so far."""
        loss, epoch, iteration, metric = self._lowest or (None, None, None, None)
        return RoundRow(
            **self._given,
            epochs=self._epochs,
            best=self._best,
            final=self._final,
            lowest_loss=loss,
            lowest_loss_epoch=epoch,
            lowest_loss_iteration=iteration,
            metric_at_lowest_loss=metric,
        )

    @property
    def empty(self) -> bool:
        """Whether there was no epoch yet."""
        return not self._epochs
