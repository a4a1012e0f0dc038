"""The table itself, how a row enters it, and what a row sees of a layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_snare.graph import AxisLabels, Sized
from keras_snare.graph.trace import function_name


@dataclass(frozen=True, eq=False)
class Resized:
    """One layer after its variables were cut.

    Args:
        sized: the layer, and the tensors that it was called on before the cut.
        input_shapes, output_shapes: the shapes now, batch axis first.
        stays: tells of labels which of their positions stayed.
    """

    sized: Sized
    input_shapes: list[tuple]
    output_shapes: list[tuple]
    stays: Callable[[np.ndarray], np.ndarray]

    @property
    def layer(self) -> Any:
        """The layer, or another operation."""
        return self.sized.layer

    def kept(self, shape: tuple, axes: AxisLabels, axis: int) -> np.ndarray:
        """Tells which positions of an axis stayed; of an axis without channels, all did."""
        if axis in axes:
            return self.stays(axes[axis])
        return np.ones(shape[axis] or 0, dtype=bool)

    def units(self, axis: str = "") -> int:
        """How many of the units that the layer makes stayed."""
        return int(self.stays(self.sized.units[axis]).sum())


Row = tuple[tuple[str, ...], Callable[[Resized], dict]]
ATTRIBUTES: dict[type | str, Row] = {}
FACTORS: dict[type | str, Callable[[Resized], list[tuple[Any, float]]]] = {}
ARGUMENTS: dict[str, Callable[[Resized], tuple[tuple, dict]]] = {}


def row(names: tuple[str, ...], *classes: type | str):
    """Enters a row: the attributes that it may set, for layer classes or `keras.ops` functions."""

    def enter(rule):
        for one in classes:
            ATTRIBUTES[one] = (names, rule)
        return rule

    return enter


def arguments(function: str):
    """Enters a row for a `keras.ops` function that is told a width when it is called."""

    def enter(rule):
        ARGUMENTS[function] = rule
        return rule

    return enter


def factors(*classes: type | str):
    """Enters a row: the variables that a cut scales, and by what, for layer classes."""

    def enter(rule):
        for one in classes:
            FACTORS[one] = rule
        return rule

    return enter


def scaled_variables(resized: Resized) -> list[tuple[Any, float]]:
    """Returns the variables of a layer that have to be scaled after the cut, and by what."""
    rule = FACTORS.get(type(resized.layer)) or FACTORS.get(function_name(resized.layer) or "")
    return rule(resized) if rule else []


def _row(operation) -> Row | None:
    return ATTRIBUTES.get(type(operation)) or ATTRIBUTES.get(function_name(operation) or "")


def attribute_names(operation) -> tuple[str, ...]:
    """Names of the attributes that a cut may change on an operation."""
    found = _row(operation)
    return found[0] if found else ()


def new_attributes(resized: Resized) -> dict:
    """Returns the attributes of an operation and their values after the cut."""
    found = _row(resized.layer)
    changed = found[1](resized) if found else {}
    # Which attributes a class has depends on the release of Keras.
    return {name: value for name, value in changed.items() if hasattr(resized.layer, name)}


def new_arguments(resized: Resized) -> tuple[tuple, dict]:
    """Returns what the recorded call passes after the cut."""
    rule = ARGUMENTS.get(function_name(resized.layer) or "")
    if rule is not None:
        return rule(resized)
    assert resized.sized.call is not None, "a wrapper's calls are not recorded"
    recorded = resized.sized.call.arguments
    return recorded.args, recorded.kwargs
