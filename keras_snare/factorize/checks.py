"""What `factorize` is asked for, and whether it can be had."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_snare.arguments import check_count
from keras_snare.criteria import check_data
from keras_snare.errors import UnsupportedModelError
from keras_snare.factorize.budget import checked_budget
from keras_snare.factorize.ranks import Rule, checked_rule
from keras_snare.factorize.suitable import METHODS
from keras_snare.policy import check_layers, means

SENSITIVITIES = ("energy", "loss")


def checked_rules(rank: Any, budget: Any, layers: Any) -> dict[str, Rule]:
    """How ranks are chosen, by name of a layer; under no name, how those of all are.

    Raises:
        TypeError, ValueError: when `rank` is out of range, or does not go with another argument.
    """
    if rank is not None and budget is not None:
        raise ValueError(
            f"Expected `rank` or `budget`. Received: rank={rank!r}, budget={budget!r}. Leave one "
            "of them out."
        )
    if not isinstance(rank, Mapping):
        return {"": checked_rule(0.5 if rank is None else rank)}
    if layers is not None or not rank:
        raise ValueError(
            "A mapping as `rank` names the layers that are meant, one at least. Received: "
            f"rank={dict(rank)}, layers={layers!r}. Leave `layers` out."
        )
    return {name: checked_rule(one, name) for name, one in rank.items()}


def check_settings(
    model: keras.Model,
    method: str,
    layers: Any,
    budget: Any,
    data: Any,
    batch_size: int,
    sensitivity: str,
) -> None:
    """Checks the other arguments.

    Raises:
        TypeError, ValueError: for the first one that is out of range, or does not go with another.
    """
    if method not in METHODS:
        raise ValueError(f"`method` is one of {', '.join(METHODS)}. Received: method={method!r}")
    if sensitivity not in SENSITIVITIES:
        raise ValueError(
            f"`sensitivity` is one of {', '.join(SENSITIVITIES)}. Received: "
            f"sensitivity={sensitivity!r}"
        )
    check_layers(layers)
    check_count("batch_size", batch_size)
    if budget is not None:
        checked_budget(budget)
    by_loss = sensitivity == "loss"
    if by_loss and (budget is None or data is None or not model.compiled):
        state = "compiled" if model.compiled else "not compiled"
        came = "None" if data is None else "data"
        raise ValueError(
            "sensitivity='loss' needs a `budget` to allot, `data=(x, y)` with targets, and a model "
            f"that is compiled with a loss. Received: budget={budget!r}, data={came}, and a model "
            f"that is {state}. Give what is missing, or take sensitivity='energy'."
        )
    if data is not None:
        check_data(data, "data", by_loss)


def rule_of(rules: dict[str, Rule], name: str, layer: Any) -> Rule:
    """How the ranks of a layer are chosen."""
    return next(rules[one] for one in (name, layer.name, "") if one in rules)


def meant(every: dict[str, Any], rules: dict[str, Rule], layers: Any) -> list[str]:
    """The names of the layers that are asked for.

    Raises:
        ValueError: when `rank` names one that there is not.
    """
    known = {*every, *(layer.name for layer in every.values()), ""}
    unknown = [name for name in rules if name not in known]
    if unknown:
        raise ValueError(
            f"`rank` names layers of the model. Received: {unknown[0]!r}. Layers with a kernel: "
            f"{', '.join(every) or 'none'}."
        )
    if "" not in rules:
        return [name for name, layer in every.items() if {name, layer.name} & rules.keys()]
    return [name for name, layer in every.items() if layers is None or means(layers, name, layer)]


def check_meant(every: dict[str, Any], reasons: dict[str, str], rules: Any, layers: Any) -> None:
    """Checks that layers which are asked for can be factorised: all that are named, one at least.

    Args:
        every: layers with a kernel, by name.
        reasons: of those that are asked for, why one cannot be factorised, or empty.
        rules: see `checked_rules`.
        layers: the argument.

    Raises:
        UnsupportedModelError: when `rank` names one that cannot.
        ValueError: when none can.
    """
    refused = {name: reason for name, reason in reasons.items() if reason}
    if "" not in rules and refused:
        name, reason = next(iter(refused.items()))
        raise UnsupportedModelError(
            f"`rank` names layers that can be factorised. Received: {name!r}: {reason}. Leave it "
            "out."
        )
    if len(refused) == len(reasons):
        said = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise ValueError(
            "Expected a Dense layer or a convolution that can be factorised. Received: "
            f"layers={layers!r} ({said or 'none matches'}). Layers with a kernel: "
            f"{', '.join(every) or 'none'}."
        )
