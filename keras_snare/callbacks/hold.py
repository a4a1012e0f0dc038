"""`HoldMasksCallback`: trains a sparse network that stays as sparse."""

import os
from typing import Any

from keras_snare.callbacks.mask_run import MaskRun, check_fit, loaded
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.masking import MaskedStep, Masks


class HoldMasksCallback(PruningCallback):
    """Keeps given connections at zero while a model trains.

    Use it to train a lottery ticket, or to train a sparse model further. The masks hold after every
    step, inside the compiled step, for any optimizer; when `fit` ends, a plain Keras model remains.

    Args:
        masks: `keras_snare.Masks`, or the file of some. `Masks.of(model)` has those of a model that
            is sparse already.

    Raises:
        TypeError: when `masks` is something else.
        SnapshotError: when the file is missing or damaged.
        InvalidPlanError: from `fit`, before any training, when the model has no such kernels.
        UnsupportedModelError, ValueError: from `fit`, when the model is not built or compiled, or
            another callback prunes.

    Logs:
        `sparsity`, and `sparsity_` with the name of a layer, for each layer that has a mask.

    Example:

    >>> model = keras.models.load_model("sparse.keras")
    >>> hold = keras_snare.HoldMasksCallback(keras_snare.Masks.of(model))
    >>> model.fit(x, y, epochs=5, callbacks=[hold])
    """

    main_argument = "masks"

    def __init__(self, masks: Masks | str | os.PathLike[str]) -> None:
        super().__init__()
        found = loaded(masks)
        if found is None:
            raise TypeError(f"`masks` are keras_snare.Masks or a file. Received: masks={masks!r}")
        self.masks = found
        self._run: MaskRun | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.tidy_up()
        fit = check_fit(self, 0)
        kernels = self.masks.kernels(self.model)
        self._run = MaskRun(self, MaskedStep(self.model, kernels), fit)
        self._begun = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        run = self._running()
        run.epoch_begins()
        if not self._begun:
            self._begun = True
            run.step.set(self.masks)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self._running().logs())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._running().end()

    def _running(self) -> MaskRun:
        assert self._run is not None, "on_train_begin comes first"
        return self._run
