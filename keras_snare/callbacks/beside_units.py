"""Keras's own callbacks that keep weights, beside one that removes units on a schedule."""

from typing import Any

import keras

from keras_snare.callbacks.running_fit import RunningFit

# Those that write networks to files. Not every supported Keras has the second.
WRITERS = tuple(
    getattr(keras.callbacks, name)
    for name in ("ModelCheckpoint", "OrbaxCheckpoint")
    if hasattr(keras.callbacks, name)
)


def check_beside_units(callback: Any, fit: RunningFit | None, last: int) -> None:
    """Checks that no callback of the running `fit` keeps weights for widths that are gone.

    Args:
        callback: the one that removes units.
        fit: the running `fit`.
        last: int, epoch at whose beginning the last units are removed.

    Raises:
        ValueError: when one does.
    """
    remover = f"{type(callback).__name__}(structured=True)"
    for one in fit.callbacks.callbacks if fit is not None else ():
        name = type(one).__name__
        if isinstance(one, keras.callbacks.BackupAndRestore):
            raise ValueError(
                f"{name} keeps weights without the widths of their network, so that no fit could "
                f"go on from them once units are removed. Received: {name} together with "
                f"{remover}. Leave it out; ModelCheckpoint keeps whole models."
            )
        best = isinstance(one, WRITERS) and one.save_weights_only and one.save_best_only
        if best and fit is not None and fit.initial_epoch < last:
            raise ValueError(
                f"{name}(save_weights_only=True, save_best_only=True) may keep weights from before "
                f"epoch {last}, at whose beginning {remover} removes its last units; the model "
                "could not load them. Leave save_weights_only out: whole models are loaded by "
                "keras.models.load_model."
            )
