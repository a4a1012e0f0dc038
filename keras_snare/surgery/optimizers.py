"""Finds and re-indexes what an optimizer holds for each variable of the model.

Keras keeps slots (momenta, averages, gradient accumulators) in lists parallel to the variables that
the optimizer was built with, and offers no public way to tell which slot belongs to which variable.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError

_NOT_SLOTS = ("_variables", "_trainable_variables")


@dataclass(frozen=True, eq=False)
class Slot:
    """One variable of the optimizer that belongs to one of the model's.

    Args:
        value: the optimizer's variable.
        variable: the model's variable.
        axes: for each axis of `value`, the axis of `variable` that it follows.
    """

    value: Any
    variable: Any
    axes: tuple[int, ...]


def optimizers_of(optimizer) -> Iterator[Any]:
    """An optimizer and, where it wraps another, that one too."""
    while optimizer is not None:
        yield optimizer
        optimizer = getattr(optimizer, "inner_optimizer", None)


def slots(optimizer) -> list[Slot]:
    """Returns every slot of an optimizer, those of a wrapped optimizer included.

    Raises:
        UnsupportedModelError: when the optimizer holds a variable whose place is unknown, so that
            a cut could not follow it.
    """
    found = []
    for one in optimizers_of(optimizer):
        if one.built:
            found.extend(_own_slots(one))
    known = {id(slot.value) for slot in found}
    for variable in optimizer.variables if optimizer is not None else ():
        if id(variable) not in known and len(variable.shape):
            raise UnsupportedModelError(
                f"Optimizer {type(optimizer).__name__} holds a variable that belongs to no weight "
                f"in a known way ({variable.path!r}, shape {tuple(variable.shape)}), so a cut "
                "cannot follow it. Use one of Keras's optimizers, or compile again after the cut."
            )
    return found


def _own_slots(optimizer) -> Iterator[Slot]:
    variables = optimizer._trainable_variables
    for name, held in vars(optimizer).items():
        if name in _NOT_SLOTS or not isinstance(held, list) or len(held) != len(variables):
            continue
        for value, variable in zip(held, variables, strict=True):
            if isinstance(value, keras.Variable) and len(value.shape):
                yield Slot(value, variable, _slot_axes(optimizer, name, value, variable))


def _slot_axes(optimizer, name: str, value, variable) -> tuple[int, ...]:
    shape, ndim = tuple(variable.shape), len(variable.shape)
    axes = tuple(range(ndim))
    if isinstance(optimizer, keras.optimizers.Adafactor) and name in ("_r", "_c"):
        axes = axes[:-1] if name == "_r" else (*axes[:-2], ndim - 1)
    if tuple(value.shape) != tuple(shape[axis] for axis in axes):
        raise UnsupportedModelError(
            f"Slot {name} of optimizer {type(optimizer).__name__} has the shape "
            f"{tuple(value.shape)}, its weight {variable.path!r} the shape {shape}; how the slot "
            "follows a cut is not known. Compile with another optimizer."
        )
    return axes


def variable_index(optimizer) -> dict[Any, dict]:
    """Returns each optimizer's table from variable keys to positions, for `put_back_index`."""
    return {one: one._trainable_variables_indices for one in optimizers_of(optimizer) if one.built}


def put_back_index(index: dict[Any, dict]) -> None:
    """Restores what `variable_index` returned."""
    for one, table in index.items():
        one._trainable_variables_indices = table


def rebuild_index(optimizer) -> None:
    """Makes the table from variable keys to positions anew, after variables were resized."""
    for one in optimizers_of(optimizer):
        if one.built:
            one._trainable_variables_indices = {
                one._var_key(variable): at for at, variable in enumerate(one._trainable_variables)
            }
