"""`EarlyStopping` beside a callback that changes the network."""

from typing import Any

import keras

from keras_snare.callbacks.running_fit import RunningFit


def restores_weights(callback: Any) -> bool:
    """Returns whether a callback brings back the weights of its best epoch when `fit` ends."""
    return isinstance(callback, keras.callbacks.EarlyStopping) and callback.restore_best_weights


def check_early_stopping(fit: RunningFit | None, epoch: int, event: str) -> None:
    """Checks that no `EarlyStopping` brings back weights from before an epoch.

    Args:
        fit: the running `fit`, before whose first epoch no weights are kept.
        epoch: int, counted from 0.
        event: str, what happens at its beginning, for the message.

    Raises:
        ValueError: when one would.
    """
    if fit is None or fit.initial_epoch >= epoch:
        return
    for one in fit.callbacks.callbacks:
        if restores_weights(one) and one.start_from_epoch < epoch:
            raise ValueError(
                "EarlyStopping(restore_best_weights=True) would bring back weights from before "
                f"epoch {epoch}, in which {event}. Give it start_from_epoch={epoch}. Received: "
                f"start_from_epoch={one.start_from_epoch}."
            )
