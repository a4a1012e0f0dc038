"""Mistakes that `MagnitudePruneCallback` can see before any training."""

from typing import Any

from keras_snare.callbacks.calendar import warn_if_short
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.criteria import check_data, get_criterion
from keras_snare.masking import (
    ConnectionCriterion,
    check_scope,
    final_sparsity,
    get_connection_criterion,
    get_pattern,
    get_regrowth,
)
from keras_snare.policy import check_layers
from keras_snare.schedules import Schedule, get_schedule

_FOR_CONNECTIONS = ("pattern", "block", "regrowth", "initial_masks")


def check_magnitude(settings: Any, schedule: Schedule) -> float:
    """Checks the callback's arguments, and returns the sparsity that it ends with.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    final = final_sparsity(settings.sparsity, get_pattern(settings.pattern, settings.block), 0.8)
    schedule.sparsity(0.0, final)
    for name, least in (("begin_epoch", 0), ("end_epoch", 0), ("frequency", 1)):
        count = getattr(settings, name)
        if name == "end_epoch" and count is None:
            continue
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise ValueError(f"`{name}` is an integer, {least} or more. Received: {name}={count!r}")
    end = settings.end_epoch
    if end is not None and (schedule.once or end < settings.begin_epoch):
        why = f"not before begin_epoch={settings.begin_epoch}"
        why = "left out where all is pruned at once" if schedule.once else why
        raise ValueError(f"`end_epoch` is {why}. Received: end_epoch={end!r}")
    if settings.per not in ("epoch", "step"):
        raise ValueError(f"`per` is 'epoch' or 'step'. Received: per={settings.per!r}")
    for name in ("structured", "remove_dead"):
        if not isinstance(getattr(settings, name), bool):
            raise ValueError(f"`{name}` is True or False. Received: {getattr(settings, name)!r}")
    check_layers(settings.layers)
    if settings.structured:
        check_units(settings)
    else:
        _check_connections(settings)
    return final


def check_connection_criterion(settings: Any) -> ConnectionCriterion:
    """Returns the criterion for connections of a callback, checked with its `scoring_data`."""
    criterion = get_connection_criterion(settings.criterion)
    if settings.scoring_data is not None:
        check_data(settings.scoring_data, "scoring_data", True)
        if criterion.needs != "data":
            raise ValueError(
                f"{criterion!r} does not look at data. Received: scoring_data. Leave it out."
            )
    elif criterion.needs == "data" and not criterion.live:
        raise ValueError(
            f"{criterion!r} looks at data, and a callback does not see those of `fit`. Give "
            "`scoring_data=(x, y)`, or choose 'taylor' or 'magnitude'."
        )
    return criterion


def _check_connections(settings: Any) -> None:
    check_scope(settings.scope, get_pattern(settings.pattern, settings.block))
    criterion = check_connection_criterion(settings)
    regrowth = get_regrowth(settings.regrowth)
    if regrowth is not None and regrowth.dormant and criterion.needs != "weights":
        raise ValueError(
            f"{regrowth!r} ranks pruned connections by the weights that they train on with, so the "
            f"criterion is one on weights, such as 'magnitude'. Received: {criterion!r}"
        )
    if regrowth is not None and get_schedule(settings.schedule).once:
        raise ValueError(
            "Connections come back at updates after the first. Received: regrowth="
            f"{settings.regrowth!r} with a schedule of one update. Leave one of them out."
        )
    check_dead(settings)
    exact = settings.pattern is not None or settings.block is not None
    if regrowth is not None and regrowth.by_gradient and exact:
        raise ValueError(
            f"{regrowth!r} exchanges connections one by one, which no pattern survives. Leave out "
            "`pattern` and `block`, or take regrowth='splicing'."
        )


def check_dead(settings: Any) -> None:
    """Checks that `remove_dead` leaves what the pattern is for.

    Raises:
        ValueError: when removing units would break it.
    """
    if settings.remove_dead and settings.pattern is not None:
        raise ValueError(
            "remove_dead=True changes the number of channels, which breaks the pattern. Received: "
            f"pattern={settings.pattern!r}. Leave one of them out."
        )


def check_units(settings: Any, *, listens: bool = True) -> None:
    """Checks the arguments of a callback that removes units.

    Args:
        settings: the callback.
        listens: bool, whether a criterion may listen to training.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    given = [name for name in _FOR_CONNECTIONS if getattr(settings, name, None) is not None]
    given += ["remove_dead"] if settings.remove_dead else []
    if given:
        raise ValueError(
            f"`{given[0]}` is for connections. Received it with structured=True, which removes "
            "whole units. Leave one of them out."
        )
    if settings.scope not in ("layer", "global"):
        raise ValueError(
            "With structured=True `scope` is 'layer' or 'global'. Received: "
            f"scope={settings.scope!r}"
        )
    criterion = get_criterion(unit_criterion(settings.criterion))
    if settings.scoring_data is not None:
        check_data(settings.scoring_data, "scoring_data", criterion.needs_labels)
        if not criterion.needs_data:
            raise ValueError(
                f"{criterion!r} does not look at data. Received: scoring_data. Leave it out."
            )
    elif criterion.needs_data and not (listens and criterion.live):
        raise ValueError(
            f"{criterion!r} looks at data, and a callback does not see those of `fit`. Give "
            f"`scoring_data=(x, y)`, or choose {'taylor' if listens else 'synflow'!r} or a "
            "criterion on weights."
        )


def needs_labels(settings: Any) -> bool:
    """Returns whether `scoring_data` of a callback need labels."""
    if not settings.structured:
        return True
    return get_criterion(unit_criterion(settings.criterion)).needs_labels


def unit_criterion(criterion: Any) -> Any:
    """Returns the criterion for units: magnitude is the sum of the weights' absolute values."""
    return "l1_in" if criterion == "magnitude" else criterion


def check_course(
    settings: Any, fit: RunningFit | None, last: int, schedule: Schedule, final: float
) -> int | None:
    """Checks the updates against the running `fit`.

    Args:
        settings: the callback.
        fit: the running `fit`.
        last: int, epoch of the last update.
        schedule: the callback's.
        final: float, sparsity that it ends with.

    Returns:
        Steps of an epoch, where they are counted.

    Raises:
        ValueError: when the steps are not known, or there is nothing to score the first update by.
    """
    first, epochs = fit.initial_epoch if fit else 0, settings.params.get("epochs") or 1
    warn_if_short(epochs, last, "sparsity")
    get = get_criterion if settings.structured else get_connection_criterion
    named = unit_criterion(settings.criterion) if settings.structured else settings.criterion
    without_data = get(named).needs in ("weights", "network")
    listens = not without_data and settings.scoring_data is None
    begin = settings.begin_epoch
    # An update without a scored step is made up for by the next one, if there is one.
    prunes = schedule.once or last <= first or schedule.sparsity(0.0, final) > 0
    if listens and first >= begin and prunes:
        raise ValueError(
            f"criterion={settings.criterion!r} listens to training, and the first update prunes "
            f"before the first step. Give begin_epoch={first + 1}, or scoring_data=(x, y)."
        )
    if settings.per == "epoch":
        return None
    if not schedule.once and last <= begin:
        raise ValueError(
            "per='step' makes its last update at the beginning of an epoch, and its first one in "
            f"an epoch before. Received: fit(epochs={epochs}), in which both are at the beginning "
            f"of epoch {begin}. Train for more epochs, or take schedule='one_shot'."
        )
    steps = settings.params.get("steps")
    if steps is None:
        raise ValueError(
            "per='step' needs to know how many steps an epoch has. Give `steps_per_epoch` to fit, "
            "or data of known length."
        )
    return steps
