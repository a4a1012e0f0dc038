"""Mistakes that `LotteryTicketCallback` can see before any training."""

import os
from typing import Any

import keras

from keras_snare.arguments import is_number, is_whole
from keras_snare.callbacks.checks import check_monitor
from keras_snare.callbacks.pruning_checks import check_connection_criterion
from keras_snare.callbacks.rounds import Rounds
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.policy import check_layers
from keras_snare.search import Objective, objective

_CHOICES = {
    "per": ("epoch", "step"),
    "rewind": ("weights", "learning_rate"),
    "scope": ("global", "layer"),
    "control": (None, "reinitialize", "random_mask"),
}


def check_lottery(settings: Any) -> None:
    """Checks the callback's arguments.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    for name, least in (("rounds", 1), ("epochs_per_round", 1), ("seed", 0)):
        count = getattr(settings, name)
        optional = name == "epochs_per_round"
        if not (_is_count(count, least) or (optional and count is None)):
            raise ValueError(f"`{name}` is an integer, {least} or more. Received: {name}={count!r}")
    for name in ("fraction", "output_fraction"):
        share = getattr(settings, name)
        optional = name == "output_fraction"
        if not (_is_share(share) or (optional and share is None)):
            raise ValueError(
                f"`{name}` is the share of what is left that a round prunes, between 0 and 1. "
                f"Received: {name}={share!r}"
            )
    for name, known in _CHOICES.items():
        if getattr(settings, name) not in known:
            listed = ", ".join(map(repr, known))
            raise ValueError(
                f"`{name}` is one of {listed}. Received: {name}={getattr(settings, name)!r}"
            )
    directory = settings.directory
    if not isinstance(directory, (str, os.PathLike, type(None))) or directory == "":
        raise TypeError(f"`directory` is a path or None. Received: {directory!r}")
    if settings.monitor is not None:
        objective(settings.monitor, settings.mode, 0.0)
    elif settings.mode != "auto":
        raise ValueError(
            "`mode` says which way `monitor` is better; without one, the loss is reported. "
            f"Received: mode={settings.mode!r}, monitor=None"
        )
    check_layers(settings.layers)
    _check_rewinding(settings)
    check_connection_criterion(settings)


def _is_count(value: Any, least: int) -> bool:
    return is_whole(value) and value >= least


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 < value < 1


def _check_rewinding(settings: Any) -> None:
    point = settings.rewind_to
    if point != "init" and not _is_count(point, 0):
        raise ValueError(
            "`rewind_to` is 'init', or after how many epochs (with per='step', steps) the point of "
            f"rewinding is. Received: rewind_to={point!r}"
        )
    if settings.output_fraction is not None and settings.scope != "layer":
        raise ValueError(
            "`output_fraction` is for scope='layer', in which every layer has a rate of its own. "
            f"Received: output_fraction={settings.output_fraction!r} with scope={settings.scope!r}"
        )
    if settings.control == "random_mask" and settings.rewind != "weights":
        raise ValueError(
            "control='random_mask' keeps connections that were pruned before, whose trained "
            "weights are gone. Received: rewind='learning_rate'. Rewind the weights."
        )
    fresh = settings.control == "reinitialize"
    if fresh and (point not in ("init", 0) or settings.rewind != "weights"):
        raise ValueError(
            "control='reinitialize' begins anew, so there is nothing to rewind to but 'init' and "
            f"the weights. Received: rewind_to={point!r}, rewind={settings.rewind!r}"
        )


def monitored(settings: Any, fit: RunningFit | None) -> Objective:
    """Returns what is monitored: the loss, on the validation data if there are any, by default.

    Raises:
        ValueError: when it will not be in the logs.
    """
    loss = "val_loss" if fit is not None and fit.validation_data is not None else "loss"
    if settings.monitor is None:
        return Objective(loss, False, 0.0)
    check_monitor(settings.model, settings.monitor, fit)
    return objective(settings.monitor, settings.mode, 0.0)


def planned_rounds(settings: Any, first: int) -> Rounds:
    """Shares the epochs of the running `fit` out among the rounds.

    Args:
        settings: the callback.
        first: int, number of the first epoch of `fit`.

    Raises:
        ValueError: when they cannot be, or the point of rewinding is not in the first round.
    """
    count, skipped = int(settings.rounds), _skipped(settings)
    given = settings.epochs_per_round and int(settings.epochs_per_round)
    epochs = (settings.params.get("epochs") or 1) - first
    trainings = count + 1
    each = given or max((epochs + count * skipped) // trainings, skipped + 1)
    if each <= skipped:
        raise ValueError(
            "The point of rewinding lies in the first round, before its last epoch. Received: "
            f"rewind_to={settings.rewind_to!r} (per={settings.per!r}) with {each} epochs in a "
            "round. Rewind to an earlier point, or give more epochs."
        )
    fitting = [Rounds(count, one, skipped, first) for one in (each, each + 1)]
    if fitting[0].total != epochs:
        totals = [str(first + one.total) for one in fitting[: 1 if given else 2]]
        lengths = f"{each} epochs" if given else "equally long rounds"
        later = f", of which all but the first leave out {skipped} epochs" if skipped else ""
        raise ValueError(
            f"rounds={count} are {trainings} trainings of {lengths}{later}, so "
            f"epochs={' or '.join(totals)}. Received: epochs={first + epochs}"
            f"{f', initial_epoch={first}' if first else ''}."
        )
    return fitting[0]


def _skipped(settings: Any) -> int:
    """Whole epochs that lie before the point of rewinding."""
    point = 0 if settings.rewind_to == "init" else int(settings.rewind_to)
    if settings.per == "epoch" or not point:
        return point
    steps = settings.params.get("steps")
    if steps is None:
        raise ValueError(
            "per='step' needs to know how many steps an epoch has. Give `steps_per_epoch` to fit, "
            "or data of known length."
        )
    together = settings.model.steps_per_execution
    if point % steps % together:
        raise ValueError(
            "Training can be rewound to a step at which control comes back from the compiled "
            f"steps. Received: rewind_to={point} with steps_per_execution={together} and {steps} "
            f"steps an epoch. Give a multiple of {together}."
        )
    return point // steps


def check_callbacks(callbacks: list[Any], rounds: Rounds) -> None:
    """Checks the other callbacks of the running `fit` for what does not go with rounds.

    Raises:
        ValueError: when one does not.
    """
    last = rounds.start(rounds.count)
    for one in callbacks:
        if isinstance(one, keras.callbacks.EarlyStopping) and one.start_from_epoch < last:
            raise ValueError(
                "EarlyStopping would end `fit` before the last round, which begins with epoch "
                f"{last}, and judge it by the best epoch of a denser network. Give it "
                f"start_from_epoch={last}. Received: start_from_epoch={one.start_from_epoch}."
            )
        if isinstance(one, keras.callbacks.BackupAndRestore):
            raise ValueError(
                "BackupAndRestore would go on in the middle of a round, whose masks and point of "
                "rewinding it does not keep. Leave it out; `directory` keeps the tickets."
            )
        if isinstance(one, keras.callbacks.SwapEMAWeights) and one.swap_on_epoch:
            raise ValueError(
                "SwapEMAWeights(swap_on_epoch=True) leaves averages in the model where a round "
                "ends and rewinds its weights. Leave swap_on_epoch out: evaluations then still "
                "see the averages."
            )
