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


class ConnectionRun(MaskRun):
    """Updates masks, and holds them.

    Args:
        settings: the callback.
        fit: the running `fit`.
        begin_with: masks to begin with, or None.
    """

    def __init__(self, settings: Any, fit: RunningFit | None, begin_with: Masks | None) -> None:
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
        super().__init__(settings, self.pruner.step, fit)

    def epoch_begins(self) -> None:
        """Begins before the first epoch."""
        super().epoch_begins()
        if self._begin_with is not None:
            self.pruner.begin_with(self._begin_with)
            self._begin_with = None

    def update(self, sparsity: float, progress: float) -> bool:
        """Prunes up to a sparsity; returns False where nothing was scored to prune by."""
        if sparsity > 0 and not self.pruner.scored:
            return False
        if sparsity > 0:
            self.pruner.update(sparsity, progress)
        return True
