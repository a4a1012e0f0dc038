"""The table of stand-ins, and how one enters it."""

from collections.abc import Callable
from typing import Any

import keras

from keras_snare.graph.trace import function_name

# Called as `stand_in(operation, call, ...)` with what the operation itself would be called with.
StandIn = Callable[..., Any]

LAYERS: dict[type, StandIn] = {}
FUNCTIONS: dict[str, StandIn] = {}


def layer(*classes: type) -> Callable[[StandIn], StandIn]:
    """Enters a stand-in for layer classes and their subclasses."""

    def enter(stand_in: StandIn) -> StandIn:
        LAYERS.update(dict.fromkeys(classes, stand_in))
        return stand_in

    return enter


def function(*names: str) -> Callable[[StandIn], StandIn]:
    """Enters a stand-in for functions of `keras.ops`, by name."""

    def enter(stand_in: StandIn) -> StandIn:
        FUNCTIONS.update(dict.fromkeys(names, stand_in))
        return stand_in

    return enter


def stand_in_for(operation) -> StandIn | None:
    """Returns what stands in for an operation, or None where it runs as it is."""
    if isinstance(operation, keras.Layer):
        classes = type(operation).__mro__
        return next((LAYERS[one] for one in classes if one in LAYERS), None)
    return FUNCTIONS.get(function_name(operation) or "")


def value_of(weight: Any) -> Any:
    """The tensor in the place of a weight: Keras takes it for one of the weight's own dtype."""
    return weight.value if isinstance(weight, keras.Variable) else weight


def carries_flow(value: Any) -> bool:
    """Tells whether a value comes from the inputs, or is a weight: what does not is a constant."""
    if isinstance(value, keras.Variable):
        return True
    return keras.ops.is_tensor(value) and keras.backend.standardize_dtype(value.dtype) == "float64"
