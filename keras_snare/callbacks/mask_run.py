"""Masks through one `fit`, from its first epoch to whatever ends it."""

import os
from collections.abc import Callable
from typing import Any

import keras

from keras_snare import step_hooks
from keras_snare.callbacks.beside_units import check_beside_units
from keras_snare.callbacks.early_stopping import check_early_stopping, restores_weights
from keras_snare.callbacks.pruning import PruningCallback, check_alone
from keras_snare.callbacks.running_fit import Guard, RunningFit, running_fit
from keras_snare.criteria import check_first_batch
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import channel_groups, trace
from keras_snare.masking import MaskedStep, Masks, remove_dead
from keras_snare.records import PruneReport
from keras_snare.replicas import check_strategy


class MaskRun:
    """Holds masks through a `fit`, and takes them off the model however it ends.

    Args:
        callback: whose run it is; its `remove_dead` and `layers` say what becomes of units without
            connections in the end, if it has them.
        step: the masks; nothing is done to the model before `epoch_begins`.
        fit: the running `fit`, or None where it was not found.
        afterwards: called whenever everything of this run is off the model.
    """

    def __init__(
        self,
        callback: PruningCallback,
        step: MaskedStep,
        fit: RunningFit | None,
        afterwards: Callable[[], None] = lambda: None,
    ) -> None:
        self.model = callback.model
        self.step = step
        self._afterwards = afterwards
        self._guard = Guard(self.model, fit.callbacks if fit else None, self.tidy_up)
        self._attached = False
        self._layers = {one.name: one.layer for one in step.kernels}
        self._remove_dead = getattr(callback, "remove_dead", False)
        self._chosen = getattr(callback, "layers", None)
        if self._remove_dead:
            channel_groups(self.model)  # Refuses before training what cannot be cut after it.

    def epoch_begins(self) -> None:
        """Holds from the first epoch on, and watches the step, which may have been made anew."""
        if not self._attached:
            self._attached = True
            self.step.attach()
            self.model.make_train_function(force=True)
        self._guard.watch_model()

    def end(self) -> tuple[Masks, PruneReport | None]:
        """Leaves a plain model whose pruned connections are zeros.

        Returns:
            The masks, and what was removed where units without connections are to go.
        """
        if not self._attached:  # There was no epoch left to train.
            self.tidy_up()
            return self._found(), None
        # Averages or the best weights of another epoch may have been put in.
        self.step.hold()
        self.tidy_up()
        if not self._remove_dead:
            return self.step.masks, None
        report = remove_dead(self.model)
        return self._found(), report

    def _found(self) -> Masks:
        """Masks by the zeros that are there."""
        found = Masks.of(self.model, self._chosen)
        return Masks({name: found[name] for name in self.step.masks})

    def logs(self) -> dict[str, float]:
        """Returns the sparsity in all, and by layer, at the end of an epoch.

        Raises:
            UnsupportedModelError: when the training step does not go through the masks.
        """
        step_hooks.check_called(self.model, "a mask")
        sizes: dict[str, list[int]] = {}
        for name, kept in self.step.masks.items():
            counts = sizes.setdefault(self._layers[name], [0, 0])
            counts[0] += kept.size
            counts[1] += int(kept.sum())
        by_layer = {f"sparsity_{layer}": 1 - kept / size for layer, (size, kept) in sizes.items()}
        return {"sparsity": self.step.masks.sparsity, **by_layer}

    def failed(self) -> None:
        """Has all callbacks of this kind tidy up."""
        self._guard.failed()

    def tidy_up(self) -> None:
        """Takes everything of ours off the model."""
        self._guard.release()
        self.step.detach()
        self._attached = False
        self._afterwards()


def loaded(masks: Any) -> Masks | None:
    """Returns masks, or those of a file, or None.

    Raises:
        TypeError: when it is something else.
        SnapshotError: when the file is missing or damaged.
    """
    if isinstance(masks, (str, os.PathLike)):
        return Masks.load(masks)
    if masks is not None and not isinstance(masks, Masks):
        raise TypeError(f"Masks are keras_snare.Masks, or a file of them. Received: {masks!r}")
    return masks


def check_fit(callback: PruningCallback, last: int, labelled: bool = True) -> RunningFit | None:
    """Checks the running `fit` for what would undo the pruning, and `scoring_data` for the model.

    Args:
        callback: whose run it is.
        last: int, epoch at whose beginning the network gets its last connections or units.
        labelled: bool, whether `scoring_data` need labels.

    Returns:
        The running `fit`.

    Raises:
        UnsupportedModelError: when the model is not built or has no optimizer, or is trained by a
            strategy that is not known.
        ValueError: when another callback prunes, or brings back weights of an earlier epoch, or the
            model does not take the data.
    """
    model = callback.model
    if not model.built or model.optimizer is None:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built or has no optimizer. Call model.build(...) or give "
            "it a keras.Input, and model.compile(...), before fit."
        )
    check_strategy(model)
    fit = running_fit(model)
    callbacks: list[Any] = fit.callbacks.callbacks if fit is not None else []
    check_alone(callback, callbacks)
    check_early_stopping(fit, last, f"{type(callback).__name__} prunes for the last time")
    _check_data(model, getattr(callback, "scoring_data", None), labelled)
    if getattr(callback, "structured", False):
        check_beside_units(callback, fit, last)
    behind = callbacks[callbacks.index(callback) + 1 :] if callback in callbacks else []
    if getattr(callback, "remove_dead", False) and any(map(restores_weights, behind)):
        raise ValueError(
            "EarlyStopping(restore_best_weights=True) brings back weights when fit ends, which do "
            "not suit any more once units are removed. Received: it stands behind "
            f"{type(callback).__name__}(remove_dead=True). Put it in front."
        )
    return fit


def _check_data(model: keras.Model, data: Any, labelled: bool) -> None:
    if data is None:
        return
    try:
        graph = trace(model)
    except UnsupportedModelError:
        return  # Its code hides what it takes; connections are scored by running it.
    check_first_batch(graph, data, labelled)
