"""One `fit` of which a part is trained for few bytes."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from keras_snare import step_hooks
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.callbacks.rate_checks import check_file, check_fit, check_model
from keras_snare.callbacks.running_fit import Guard, running_fit
from keras_snare.callbacks.snare import SnareCallback
from keras_snare.codec import Coding, coded_bytes, from_integers, to_integers
from keras_snare.rate import RatedStep, RatedWeight, places_of
from keras_snare.surgery.optimizers import built_optimizer, clear_slots

KILOBYTE = 8000.0  # bits
# Of the rated epochs, those in which the price rises to what was asked for.
_RISE = 0.1
_LEAST_PACE = 0.01


class RateRun:
    """Trains a model for few bytes from the hooks of a running `fit`.

    Args:
        settings: the callback, with the model that Keras gave it.
        codings: those of a `fit` before, whose steps are taken up where the weights are multiples
            of them.

    Raises:
        SnareError, ValueError, TypeError: when something does not suit; nothing has changed then.
    """

    def __init__(self, settings: Any, codings: Mapping[str, Coding]) -> None:
        self.settings = settings
        self.model = settings.model
        self._codings = codings
        check_model(self.model)
        check_file(settings)
        fit = running_fit(self.model)
        self._callbacks: list[Any] = fit.callbacks.callbacks if fit else []
        check_fit(settings, self._callbacks)
        self._start = max(settings.start_epoch, fit.initial_epoch if fit else 0)
        self._places()
        self._step: RatedStep | None = None
        self._guard = Guard(self.model, fit.callbacks if fit else None, self.tidy_up)

    def epoch_begins(self, epoch: int) -> None:
        """Begins with the first epoch that counts, and sets the pace of each."""
        if self._step is None and epoch >= self._start:
            for one in self._callbacks:
                if isinstance(one, SnareCallback):
                    one.end_search()
            self._begin()
        elif self._step is not None:
            # A callback that prunes may have set weights to zero.
            self._step.take_over()
        if self._step is not None:
            self._set_pace(epoch)
        self._guard.watch_model()

    def epoch_ended(self, logs: dict) -> None:
        """Puts the estimated size of the weights into `logs`."""
        logs["snare_bits"] = logs["snare_bytes"] = math.nan
        if self._step is not None:
            step_hooks.check_called(self.model, "RateCallback")
            bits = self._step.bits()
            logs["snare_bits"] = bits / sum(one.size for one in self._step.weights)
            logs["snare_bytes"] = bits / 8

    def end(self) -> dict[str, Coding]:
        """Leaves a plain model with the weights that a file will give back, to the last bit.

        Returns:
            The codings by path of the variable; empty where no epoch counted.
        """
        step = self._step
        if step is None:
            self.tidy_up()
            warnings.warn(
                f"fit ended before epoch {self._start}, the first to be trained for few bytes: "
                "nothing was. Begin earlier, or stop later.",
                UserWarning,
                stacklevel=2,
            )
            return {}
        step.take_over()
        self.tidy_up()
        held = [ops.convert_to_numpy(one.variable.value) for one in step.weights]
        if not all(np.isfinite(one.astype("float64")).all() for one in held):
            warnings.warn(
                "fit ended with weights that are not finite, which no file of few bytes holds. "
                "Lower the learning rate.",
                UserWarning,
                stacklevel=2,
            )
            return {}
        codings = {}
        for one in step.weights:
            coding, variable = one.coding, one.variable
            integers = to_integers(ops.convert_to_numpy(variable.value), coding)
            variable.assign(from_integers(integers, coding, variable.shape, variable.dtype))
            codings[one.place.name] = _smaller(integers, coding)
        return codings

    def tidy_up(self) -> None:
        """Takes everything of ours off the model, and leaves rounded weights there."""
        step, self._step = self._step, None
        self._guard.release()
        if step is not None:
            step.detach()
            self._forget_moments(step)

    def _places(self) -> list[Any]:
        settings = self.settings
        # Zeros that are held are weights; no basis keeps them.
        held = any(
            isinstance(one, PruningCallback) and not isinstance(one, SnareCallback)
            for one in self._callbacks
        )
        return places_of(self.model, settings.layers, settings.grids, cosines=not held)

    def _begin(self) -> None:
        built_optimizer(self.model)
        weights = [RatedWeight(one, self._codings.get(one.name)) for one in self._places()]
        self._step = RatedStep(self.model, weights, self.settings.rate / KILOBYTE)
        self._forget_moments(self._step)
        self._step.attach()
        self.model.make_train_function(force=True)

    def _forget_moments(self, step: RatedStep) -> None:
        """Clears what the optimizer has gathered in another basis."""
        clear_slots(
            self.model.optimizer,
            {
                id(one.variable): np.ones(one.variable.shape, dtype=bool)
                for one in step.weights
                if one.place.cosines
            },
        )

    def _set_pace(self, epoch: int) -> None:
        assert self._step is not None, "the pace is set while it trains"
        epochs = max((self.settings.params.get("epochs") or 1) - self._start, 1)
        done = epoch - self._start
        price = min(1.0, (done + 1) / max(1.0, _RISE * epochs))
        pace = max(_LEAST_PACE, 0.5 + 0.5 * math.cos(math.pi * done / epochs))
        self._step.pace(price, pace)


def _smaller(integers: np.ndarray, coding: Coding) -> Coding:
    """Leaves a grid out that only says what neighbours are, where they are not alike."""
    if coding.transform != "none" or coding.grid is None:
        return coding
    by_grid = {grid: coded_bytes(integers, grid) for grid in (coding.grid, None)}
    return Coding("none", min(by_grid, key=by_grid.__getitem__), coding.step)
