"""One `fit` whose connections are pruned before the first step."""

from typing import Any

from keras_snare.callbacks.mask_run import MaskRun
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.masking import (
    MaskedStep,
    Masks,
    chosen_masks,
    get_connection_criterion,
    get_pattern,
    suitable_kernels,
    whole_masks,
)
from keras_snare.records import PruneReport


class SynFlowRun:
    """Prunes connections once, and holds the masks.

    Args:
        settings: the callback.
        fit: the running `fit`.
        begin_with: masks to begin with, or None.
    """

    def __init__(self, settings: Any, fit: RunningFit | None, begin_with: Masks | None):
        self.settings = settings
        self._pattern = get_pattern(settings.pattern, settings.block)
        kernels, _ = suitable_kernels(settings.model, self._pattern, settings.layers)
        self._begin_with = whole_masks(settings.model, kernels, begin_with)
        self._step = MaskedStep(settings.model, kernels)
        self._run = MaskRun(settings, self._step, fit)

    def epoch_begins(self) -> None:
        """Begins before the first epoch."""
        self._run.begin()

    def update_in_rounds(self, sparsity: float, rounds: int) -> None:
        """Prunes up to a sparsity."""
        settings = self.settings
        masks = chosen_masks(
            settings.model,
            sparsity,
            get_connection_criterion(settings.criterion),
            rounds=rounds,
            data=settings.scoring_data,
            scope=settings.scope,
            pattern=self._pattern,
            layers=settings.layers,
            initial_masks=self._begin_with,
        )
        self._step.set(masks)

    def logs(self) -> dict[str, float]:
        """Returns the sparsity in all and by layer."""
        return self._run.logs()

    def end(self) -> tuple[Masks | None, PruneReport | None]:
        """Leaves a plain model; returns the masks, and what was removed for real."""
        if self.settings.remove_dead:
            return self._run.end_without_dead(self.settings.layers)
        self._run.end()
        return self._step.masks, None

    def tidy_up(self) -> None:
        """Takes everything of ours off the model."""
        self._run.tidy_up()
