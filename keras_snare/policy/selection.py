"""Which groups a user means."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import ChannelGroup, ChannelGroups
from keras_snare.graph.rules.dense import has_adapter


def check_layers(layers: Any) -> None:
    """Checks the argument `layers` before there is a model.

    Raises:
        TypeError: when it is not made of names, regular expressions, classes or a predicate.
        ValueError: when a text is no regular expression.
    """
    for one in _as_list(layers):
        other_class = isinstance(one, type) and not issubclass(one, keras.layers.Layer)
        if other_class or not (isinstance(one, (str, re.Pattern)) or callable(one)):
            raise TypeError(
                "`layers` is a layer name, a regular expression, a layer class, a predicate on "
                f"layers, or a list of these. Received: {one!r}"
            )
        if isinstance(one, str):
            _check_expression(one)


def _check_expression(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(
            f"A text in `layers` is a layer name or a regular expression. Received: {text!r} "
            f"({error}). Put a backslash before characters that stand for themselves."
        ) from None


def select_groups(groups: ChannelGroups, layers: Any) -> list[ChannelGroup]:
    """Returns the prunable groups of which a chosen layer produces the units.

    Args:
        groups: of the model.
        layers: None for all; names, regular expressions that match a whole name, layer classes, or
            a predicate that takes a layer.

    Raises:
        UnsupportedModelError: when nothing in the model can be cut; the reasons are listed.
        ValueError: when `layers` matches nothing that can be cut.
    """
    prunable = groups.prunable()
    if not prunable:
        adapted = [call.name for call in groups.trace.calls if has_adapter(call.operation)]
        held = [f"{name}: is quantized or carries LoRA matrices" for name in adapted]
        known = [f"{group.name}: {group.reason}" for group in groups]
        reasons = "; ".join((*known, *held)) or "no such layer"
        raise UnsupportedModelError(f"The model has no layer whose units can be cut ({reasons}).")
    chosen = matching_groups(groups, layers)
    if not chosen:
        names = ", ".join(name for group in prunable for name in group.layers)
        raise ValueError(
            f"`layers` matches no layer whose units can be cut. Received: {layers!r}. "
            f"Layers that can be cut: {names}."
        )
    return chosen


def matching_groups(groups: ChannelGroups, layers: Any) -> list[ChannelGroup]:
    """Returns the same, or nothing where there is nothing left to cut."""
    if layers is None:
        return groups.prunable()
    producers = groups.producers
    return [
        group
        for group in groups.prunable()
        if any(means(layers, name, producers[name]) for name in group.layers)
    ]


def _as_list(layers: Any) -> Iterable:
    if layers is None:
        return []
    return layers if isinstance(layers, (list, tuple, set, frozenset)) else [layers]


def means(layers: Any, name: str, layer: keras.layers.Layer) -> bool:
    """Tells whether the argument `layers` means a layer, by its own name or the one given here."""
    return any(_matches(one, name, layer) for one in _as_list(layers))


def _matches(one: str | re.Pattern | type | Callable, name: str, layer: keras.layers.Layer) -> bool:
    names = (name, layer.name)
    if isinstance(one, str):
        return one in names or any(re.fullmatch(one, own) for own in names)
    if isinstance(one, re.Pattern):
        return any(one.fullmatch(own) for own in names)
    if isinstance(one, type) and issubclass(one, keras.layers.Layer):
        return isinstance(layer, one)
    return bool(one(layer))
