"""Mistakes that `SnareCallback` can see before any training."""

import numbers
import os
import warnings
from typing import Any

import keras

from keras_snare.arguments import check_flag, is_whole
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.criteria import Criterion, check_data, get_criterion
from keras_snare.errors import UnsupportedModelError
from keras_snare.policy import SnarePolicy, check_layers
from keras_snare.search import Objective
from keras_snare.surgery import check_compensation

_STEPS = ("train_step", "test_step")


def check_settings(settings: Any, criterion: Criterion) -> None:
    """Checks the callback's own arguments that no other part checks.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    for name, least in (("retrain_epochs", 1), ("warmup_epochs", 0)):
        count = getattr(settings, name)
        if not is_whole(count) or count < least:
            raise ValueError(f"`{name}` is an integer, {least} or more. Received: {name}={count!r}")
    directory = settings.directory
    if not isinstance(directory, (str, os.PathLike, type(None))) or directory == "":
        raise TypeError(f"`directory` is a path or None. Received: {directory!r}")
    for name in ("prune_inputs", "stop_when_done"):
        check_flag(name, getattr(settings, name))
    verbose = settings.verbose
    if not isinstance(verbose, (str, numbers.Integral)) or verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"`verbose` is 'auto', 0, 1 or 2. Received: verbose={verbose!r}")
    check_layers(settings.layers)
    if settings.scoring_data is not None:
        check_data(settings.scoring_data, "scoring_data", criterion.needs_labels)
    elif criterion.needs_data and not criterion.live:
        raise ValueError(
            f"{criterion!r} looks at data, and a callback does not see those of `fit`. "
            "Received: scoring_data=None. Give `scoring_data=(x, y)`, or choose 'taylor' or a "
            "criterion on weights."
        )
    check_compensation(settings.compensate, settings.scoring_data, argument="scoring_data")


def course(settings: Any, objective: Objective, policy: SnarePolicy) -> dict[str, Any]:
    """Returns what decides the course of a search, to be compared when it is resumed."""
    numbers = ("first_step", "min_step", "beta", "gamma", "round_to")
    return {
        "monitor": objective.monitor,
        "mode": "max" if objective.higher else "min",
        "eps": objective.eps,
        "criterion": get_criterion(settings.criterion).kind,
        "prune_inputs": settings.prune_inputs,
        "compensate": settings.compensate,
        **{name: getattr(policy, name) for name in numbers},
    }


def check_run(model, objective: Objective, fit: RunningFit | None) -> None:
    """Checks the model, the monitor and the validation data when `fit` begins.

    Raises:
        UnsupportedModelError: when the model is not built.
        ValueError: when the monitor will not be in the logs.
    """
    if not model.built or model.optimizer is None:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built or has no optimizer. Call model.build(...) or give "
            "it a keras.Input, and model.compile(...), before fit."
        )
    check_monitor(model, objective.monitor, fit)
    if objective.monitor.startswith("val_") and fit is not None and fit.validation_freq != 1:
        raise ValueError(
            "A search judges after every epoch, so it needs validation_freq=1. Received: "
            f"validation_freq={fit.validation_freq!r}"
        )


def check_monitor(model, monitor: str, fit: RunningFit | None) -> None:
    """Checks that a metric will be in the logs, as far as that is known.

    Raises:
        ValueError: when it will not.
    """
    if monitor.startswith("val_") and fit is not None and fit.validation_data is None:
        raise ValueError(
            f"monitor={monitor!r} needs validation data. Give `validation_data=(x, y)` or "
            "`validation_split=0.1` to fit."
        )
    known = metric_names(model)
    if known is not None and monitor.removeprefix("val_") not in known:
        listed = [*known, *(f"val_{name}" for name in known)]
        raise ValueError(
            f"`monitor` is not a metric of the model. Received: monitor={monitor!r}. "
            f"There are: {', '.join(listed)}. Add it to model.compile(metrics=[...])."
        )


def metric_names(model) -> list[str] | None:
    """Returns the names under which a compiled model logs, or None where they are not yet known.

    Before its first step, a model with several outputs has not named its metrics; a model with a
    step of its own names them in there.
    """
    steps = [(getattr(type(model), name), getattr(keras.Model, name)) for name in _STEPS]
    if len(getattr(model, "outputs", ())) != 1 or any(own is not common for own, common in steps):
        return None
    names = ["loss"]
    settings = model.get_compile_config() or {}
    for group in ("metrics", "weighted_metrics"):
        given = settings.get(group) or []
        if not isinstance(given, list) or any(isinstance(one, list) for one in given):
            return None
        names.extend(_metric_name(one) for one in given)
    return names


def _metric_name(metric: str | dict) -> str:
    if isinstance(metric, str):
        return metric
    config = metric.get("config")
    if isinstance(config, str):
        return config
    return str((config or {}).get("name", metric.get("class_name")))


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
