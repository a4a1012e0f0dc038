"""What a search is told to do, by a callback or by `compress`."""

import numbers
import os
from typing import Any

from keras_snare.arguments import check_flag, is_number, is_whole
from keras_snare.criteria import Criterion, check_data, get_criterion
from keras_snare.policy import SnarePolicy, check_layers
from keras_snare.search.metric import Objective
from keras_snare.surgery import check_compensation

RETRAIN = ("full", "blocks")


def new_policy(settings: Any) -> SnarePolicy:
    """Returns a policy with a callback's settings."""
    return SnarePolicy(
        first_step=settings.first_step,
        min_step=settings.min_step,
        beta=settings.beta,
        gamma=settings.gamma,
        max_trials=settings.max_trials,
        round_to=settings.round_to,
    )


def check_settings(settings: Any, criterion: Criterion) -> None:
    """Checks the callback's own arguments that no other part checks.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    for name, least in (("retrain_epochs", 1), ("warmup_epochs", 0)):
        count = getattr(settings, name)
        if not is_whole(count) or count < least:
            raise ValueError(f"`{name}` is an integer, {least} or more. Received: {name}={count!r}")
    if settings.retrain not in RETRAIN:
        raise ValueError(f"`retrain` is 'full' or 'blocks'. Received: retrain={settings.retrain!r}")
    if settings.retrain == "blocks" and settings.block_data is None:
        raise ValueError(
            "retrain='blocks' trains on data, and a callback does not see those of `fit`. "
            "Received: scoring_data=None. Give `scoring_data=(x,)` or `(x, y)`."
        )
    directory = settings.directory
    if not isinstance(directory, (str, os.PathLike, type(None))) or directory == "":
        raise TypeError(f"`directory` is a path or None. Received: {directory!r}")
    log_dir = settings.log_dir
    if not isinstance(log_dir, (str, os.PathLike, type(None))) or log_dir == "":
        raise TypeError(f"`log_dir` is a path or None. Received: log_dir={log_dir!r}")
    limit = settings.directory_limit
    if limit is not None and (directory is None or not is_number(limit) or not limit >= 1):
        raise ValueError(
            "`directory_limit` is None, or a number, 1 or more, for a `directory`. Received: "
            f"directory_limit={limit!r}, directory={directory!r}"
        )
    for name in ("prune_inputs", "stop_when_done", "early_rejection"):
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
        "retrain": settings.retrain,
        **{name: getattr(policy, name) for name in numbers},
    }
