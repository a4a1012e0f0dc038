"""One `fit` in which connections are pruned."""

from typing import Any

from keras_snare.callbacks.mask_run import MaskRun
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.masking import (
    ConnectionPruner,
    Masks,
    get_connection_criterion,
    get_pattern,
    get_regrowth,
)
from keras_snare.records import PruneReport


class ConnectionRun:
    """Updates masks, and holds them.

    Args:
        settings: the callback.
        fit: the running `fit`.
        begin_with: masks to begin with, or None.
    """

    def __init__(self, settings: Any, fit: RunningFit | None, begin_with: Masks | None):
        self.settings = settings
        self.pruner = ConnectionPruner(
            settings.model,
            get_connection_criterion(settings.criterion),
            scope=settings.scope,
            pattern=get_pattern(settings.pattern, settings.block),
            regrowth=get_regrowth(settings.regrowth),
            layers=settings.layers,
            data=settings.scoring_data,
        )
        self._begin_with = None if begin_with is None else self.pruner.checked(begin_with)
        self._run = MaskRun(settings, self.pruner.step, fit)

    def epoch_begins(self) -> None:
        """Begins before the first epoch."""
        self._run.begin()
        if self._begin_with is not None:
            self.pruner.step.set(self._begin_with)
            self._begin_with = None

    def update(self, sparsity: float, progress: float) -> None:
        """Prunes up to a sparsity."""
        if sparsity > 0:
            self.pruner.update(sparsity, progress)

    def logs(self) -> dict[str, float]:
        """Returns the sparsity in all and by layer."""
        return self._run.logs()

    def end(self) -> tuple[Masks | None, PruneReport | None]:
        """Leaves a plain model; returns the masks, and what was removed for real."""
        if self.settings.remove_dead:
            return self._run.end_without_dead(self.settings.layers)
        self._run.end()
        return self.pruner.masks, None

    def tidy_up(self) -> None:
        """Takes everything of ours off the model."""
        self._run.tidy_up()
