"""Checks of arguments that the ways to prune connections share."""

from typing import Any

import keras

from keras_snare.arguments import is_number
from keras_snare.criteria import check_data
from keras_snare.masking.criteria import ConnectionCriterion
from keras_snare.masking.patterns import Pattern
from keras_snare.masking.selection import CONNECTION_SCOPES


def final_sparsity(sparsity: Any, pattern: Pattern, default: float) -> float:
    """Returns the share that is pruned in the end; None means what the pattern, or `default`, asks.

    Raises:
        ValueError: when it is no share, or not the one of the pattern.
    """
    if sparsity is None:
        return default if pattern.sparsity is None else pattern.sparsity
    if not is_number(sparsity) or not 0 < sparsity < 1:
        raise ValueError(
            f"`sparsity` is the share to prune, between 0 and 1. Received: sparsity={sparsity!r}"
        )
    if pattern.sparsity is not None and abs(sparsity - pattern.sparsity) > 1e-9:
        raise ValueError(
            f"{pattern!r} prunes a share of {pattern.sparsity:g}. Received: "
            f"sparsity={sparsity!r}. Leave `sparsity` out."
        )
    return float(sparsity)


def check_scope(scope: Any, pattern: Pattern) -> None:
    """Checks the scope of a choice of connections.

    Raises:
        ValueError: when there is none of the name, or it contradicts the pattern.
    """
    if not isinstance(scope, str) or scope not in CONNECTION_SCOPES:
        raise ValueError(
            f"`scope` is one of {', '.join(CONNECTION_SCOPES)}. Received: scope={scope!r}"
        )
    if scope == "erk" and pattern.sparsity is not None:
        raise ValueError(
            f"scope='erk' gives each kernel a share of its own, and {pattern!r} the same to all. "
            "Leave one of them out."
        )


def check_criterion_data(criterion: ConnectionCriterion, data: Any, argument: str) -> None:
    """Checks the data for a criterion that cannot listen to training.

    Raises:
        ValueError: when it needs data and there are none, or the other way round.
    """
    if data is None:
        if criterion.needs == "data":
            raise ValueError(
                f"{criterion!r} looks at data, and received none. Give `{argument}=(x, y)`, or "
                "choose a criterion without, such as 'synflow' or 'magnitude'."
            )
        return
    check_data(data, argument, True)
    if criterion.needs != "data":
        raise ValueError(
            f"{criterion!r} does not look at data. Received: {argument}. Leave it out."
        )


def check_compiled(model: keras.Model, criterion: ConnectionCriterion) -> None:
    """Checks that a model has the loss that a criterion on data looks at.

    Raises:
        ValueError: when it is not compiled.
    """
    if criterion.needs == "data" and not getattr(model, "compiled", False):
        raise ValueError(
            f"{criterion!r} needs the gradient of the loss, and the model has none yet. Received: "
            f"model {model.name!r}. Call model.compile(..., loss=...) first."
        )
