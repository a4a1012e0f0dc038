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


class SynFlowRun(MaskRun):
    """Prunes connections once, and holds the masks.

    Args:
        settings: the callback.
        fit: the running `fit`.
        begin_with: masks to begin with, or None.
    """

    def __init__(self, settings: Any, fit: RunningFit | None, begin_with: Masks | None) -> None:
        self.settings = settings
        self._pattern = get_pattern(settings.pattern, settings.block)
        kernels, _ = suitable_kernels(settings.model, self._pattern, settings.layers)
        self._begin_with = whole_masks(settings.model, kernels, begin_with)
        super().__init__(settings, MaskedStep(settings.model, kernels), fit)

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
        self.step.set(masks)
