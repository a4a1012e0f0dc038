"""Mistakes that `SnareCallback` can see before any training."""

import warnings

import keras

from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.errors import UnsupportedModelError
from keras_snare.replicas import check_strategy
from keras_snare.search import Objective, check_metric


def check_run(model: keras.Model, objective: Objective, fit: RunningFit | None) -> None:
    """Checks the model, the monitor and the validation data when `fit` begins.

    Raises:
        UnsupportedModelError: when the model is not built, or is trained by a strategy that is not
            known.
        ValueError: when the monitor will not be in the logs.
    """
    if not model.built or model.optimizer is None:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built or has no optimizer. Call model.build(...) or give "
            "it a keras.Input, and model.compile(...), before fit."
        )
    check_strategy(model)
    check_monitor(model, objective.monitor, fit)
    if objective.monitor.startswith("val_") and fit is not None and fit.validation_freq != 1:
        raise ValueError(
            "A search judges after every epoch, so it needs validation_freq=1. Received: "
            f"validation_freq={fit.validation_freq!r}"
        )


def check_monitor(model: keras.Model, monitor: str, fit: RunningFit | None) -> None:
    """Checks that a metric will be in the logs, as far as that is known.

    Raises:
        ValueError: when it will not.
    """
    if monitor.startswith("val_") and fit is not None and fit.validation_data is None:
        raise ValueError(
            f"monitor={monitor!r} needs validation data. Give `validation_data=(x, y)` or "
            "`validation_split=0.1` to fit."
        )
    check_metric(model, monitor)


def warn_if_short(epochs: int | None, first: int, warmup_epochs: int, retrain_epochs: int) -> None:
    """Warns when `fit` will end before one trial could; `first` is its `initial_epoch`."""
    needed = max(warmup_epochs, 1) + retrain_epochs
    if epochs is not None and epochs - first < needed:
        warnings.warn(
            f"fit runs for {epochs - first} epochs; one trial may take {needed} (warm-up "
            f"{max(warmup_epochs, 1)}, retraining {retrain_epochs}). Give epochs={first + needed} "
            "or more.",
            UserWarning,
            stacklevel=2,
        )
