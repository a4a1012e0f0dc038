"""Keras's own callbacks beside a search: what does not go with it, and in which order they act."""

from collections.abc import Callable
from typing import Any

import keras

from keras_snare.callbacks.beside_units import WRITERS
from keras_snare.callbacks.early_stopping import restores_weights
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.surgery.optimizers import optimizers_of

# They look at the network or at its rate, which a verdict may set back.
_EARLY = (*WRITERS, keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


def check_beside_search(model: keras.Model, monitor: str, fit: RunningFit | None) -> None:
    """Checks averages of weights, of the optimizer or another callback of the running `fit`.

    Raises:
        ValueError: when weights in validation are not those that `fit` leaves, or where it cuts.
    """
    callbacks = fit.listed() if fit is not None else []
    for one in callbacks:
        if isinstance(one, keras.callbacks.SwapEMAWeights) and one.swap_on_epoch:
            raise ValueError(
                "SwapEMAWeights(swap_on_epoch=True) leaves averages in the model where a search "
                "cuts it, or undoes a cut. Leave swap_on_epoch out: validation then still sees the "
                "averages, and they are what remains in the model."
            )
    averaging = [one for one in optimizers_of(model.optimizer) if one.use_ema]
    swapped = any(isinstance(one, keras.callbacks.SwapEMAWeights) for one in callbacks)
    if swapped and not averaging:
        raise ValueError(
            "SwapEMAWeights needs averages of the weights. Received: an optimizer without "
            "use_ema=True. Compile with one that has it, or leave SwapEMAWeights out."
        )
    # With a frequency, the averages are put into the model in training too.
    hidden = any(not one.ema_overwrite_frequency for one in averaging)
    if hidden and not swapped and fit is not None and monitor.startswith("val_"):
        raise ValueError(
            "The optimizer averages weights (use_ema=True), which are in the model when fit ends. "
            f"Expected SwapEMAWeights in `callbacks`, so that monitor={monitor!r} is of the "
            "averages. Received: none. Add keras.callbacks.SwapEMAWeights(), compile with "
            "ema_overwrite_frequency=STEPS_OF_AN_EPOCH, or compile without use_ema."
        )


def check_kept(fit: RunningFit | None) -> None:
    """Checks the other callbacks for those that keep weights of networks of other widths.

    Some bring them back as soon as `fit` begins: this looks before that.

    Raises:
        ValueError: when there is one.
    """
    for one in fit.listed() if fit is not None else []:
        _check_kept(one)


def _check_kept(callback: Any) -> None:
    name = type(callback).__name__
    if restores_weights(callback):
        raise ValueError(
            f"{name}(restore_best_weights=True) would bring back weights of a network of other "
            "widths. A search leaves the last network that it accepted by itself. Leave "
            "restore_best_weights out."
        )
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        raise ValueError(
            f"{name} keeps the weights of a network that becomes smaller, and neither its widths "
            "nor the search, so that no fit could go on from them. Leave it out, and give the "
            "callback that searches a `directory`: the same fit, called again, goes on from there."
        )
    if isinstance(callback, WRITERS) and callback.save_weights_only:
        raise ValueError(
            f"{name}(save_weights_only=True) writes weights without the widths of their network, "
            "which change from epoch to epoch, so that no model could load them. Leave "
            "save_weights_only out: whole models are loaded by keras.models.load_model."
        )


class ActingOrder:
    """Has what keeps a network, or sets its learning rate, act before a search changes it.

    A verdict and the next cut fall at the end of an epoch. Such callbacks act before, wherever they
    stand: a file then holds the network that the logs of the epoch are about, and the rate in the
    logs is the one that it was trained with. The figures of that network are in the logs from the
    beginning.

    Args:
        callbacks: the list of callbacks that `fit` calls, or None.
        search: the callback that searches.
        figures: returns what is known of the network before the verdict.
    """

    def __init__(
        self, callbacks: Any, search: Any, figures: Callable[[], dict[str, float]]
    ) -> None:
        self._list = callbacks
        if callbacks is None:
            return
        self._given = given = callbacks.callbacks
        at = given.index(search) if search in given else 0
        early = [one for one in given[at:] if isinstance(one, _EARLY)]
        others = [one for one in given[at:] if not isinstance(one, _EARLY)]
        # Another list, since Keras is going through the given one.
        callbacks.callbacks = [_Figures(figures), *given[:at], *early, *others]

    def put_back(self) -> None:
        """Leaves the list as it was."""
        if self._list is not None:
            self._list.callbacks, self._list = self._given, None


class _Figures(keras.callbacks.Callback):
    """Puts figures into the logs of every epoch."""

    def __init__(self, figures: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self._figures = figures

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self._figures())
