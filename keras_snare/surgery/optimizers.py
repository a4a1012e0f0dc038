"""Finds and re-indexes what an optimizer holds for each variable of the model.

Keras keeps slots (momenta, averages, gradient accumulators) in lists parallel to the variables that
the optimizer was built with, and offers no public way to tell which slot belongs to which variable.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.replicas import num_replicas, scope_of, strategy_of

_NOT_SLOTS = ("_variables", "_trainable_variables")
# Dictionaries and sets whose keys come from `_var_key`. Not every optimizer has all of them.
_TABLES = (
    "_trainable_variables_indices",
    "_var_to_optimizer_idx",
    "_exclude_from_weight_decay",
    "_exclude_from_weight_decay_cache",
)


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
    """An optimizer and, where it wraps others, those too."""
    if optimizer is None:
        return
    yield optimizer
    inner = getattr(optimizer, "inner_optimizer", None)
    for one in getattr(optimizer, "optimizers", ()) if inner is None else (inner,):
        yield from optimizers_of(one)


def built_optimizer(model: keras.Model) -> Any:
    """Returns the optimizer of a model, or None, with its slots in place.

    `fit` would make them at its first step. Made before a cut, they can be undone with it; slots
    that were made for the narrow model would not fit the one that comes back.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        with scope_of(model):
            optimizer.build(model.trainable_variables)
    return optimizer


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


def clear_slots(optimizer, cleared: dict[int, Any]) -> None:
    """Sets what an optimizer holds for single weights back, in slots shaped like the variable.

    Args:
        optimizer: the optimizer.
        cleared: by id of a variable, an array of its shape that is True where to clear.
    """
    for one in optimizers_of(optimizer):
        for name, value, variable in _beside_variables(one) if one.built else ():
            where = cleared.get(id(variable))
            if where is not None and where.shape == tuple(value.shape):
                # Adagrad and Ftrl begin with a number that they divide by.
                first = one.initial_accumulator_value if name == "_accumulators" else 0.0
                value.assign(keras.ops.where(where, keras.ops.cast(first, value.dtype), value))


def moving_averages(optimizer) -> dict[int, Any]:
    """Returns the averages of weights that an optimizer keeps (`use_ema`), by id of the weight."""
    found = {}
    for one in optimizers_of(optimizer):
        if one.built and one.use_ema:
            averages = one._model_variables_moving_average
            pairs = zip(one._trainable_variables, averages, strict=True)
            found.update({id(weight): average for weight, average in pairs if average is not None})
    return found


def begin_averages(model: keras.Model) -> None:
    """Has the averages of an optimizer that made no step yet be the weights.

    Keras begins with zeros, which the first step overwrites; but where `fit` leaves the model as it
    was given, it puts the averages into it.
    """
    for one in optimizers_of(built_optimizer(model)):
        if one.built and one.use_ema and not int(keras.ops.convert_to_numpy(one.iterations)):
            averages = one._model_variables_moving_average
            for weight, average in zip(one._trainable_variables, averages, strict=True):
                if average is not None:
                    average.assign(keras.ops.convert_to_numpy(weight))


def _beside_variables(optimizer) -> Iterator[tuple[str, Any, Any]]:
    """Name of the list, slot and variable, of every list that is parallel to the variables."""
    variables = optimizer._trainable_variables
    for name, held in vars(optimizer).items():
        if name in _NOT_SLOTS or not isinstance(held, list) or len(held) != len(variables):
            continue
        for value, variable in zip(held, variables, strict=True):
            if isinstance(value, keras.Variable) and len(value.shape):
                yield name, value, variable


def _own_slots(optimizer) -> Iterator[Slot]:
    for name, value, variable in _beside_variables(optimizer):
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


def variable_tables(optimizer) -> list[tuple[Any, Any]]:
    """Returns each table that is keyed by variable, and a copy of it, for `put_back_tables`."""
    # One of several optimizers that has no weight to train is never built.
    built = [one for one in optimizers_of(optimizer) if one.built]
    tables = [getattr(one, name) for one in built for name in _TABLES if hasattr(one, name)]
    return [(table, table.copy()) for table in tables]


def put_back_tables(tables: list[tuple[Any, Any]]) -> None:
    """Restores what `variable_tables` returned."""
    for table, copy in tables:
        _refill(table, copy)


def variable_keys(optimizer, variables: Iterable[Any]) -> dict[Any, Any]:
    """Returns the keys that the optimizer knows variables by, for `rename_keys` after a cut."""
    if optimizer is None:
        return {}
    return {optimizer._var_key(variable): variable for variable in variables}


def rename_keys(optimizer, keys: dict[Any, Any]) -> None:
    """Enters variables that were resized under their new keys.

    Args:
        optimizer: the optimizer, or None.
        keys: what `variable_keys` returned before.
    """
    names = {key: optimizer._var_key(variable) for key, variable in keys.items()}
    for table, copy in variable_tables(optimizer):
        if isinstance(copy, set):
            _refill(table, {names.get(key, key) for key in copy})
        else:
            _refill(table, {names.get(key, key): value for key, value in copy.items()})


def _refill(table, content) -> None:
    # Assigning another dictionary would have TensorFlow wrap and track it.
    table.clear()
    table.update(content)


class UnreducedGradients:
    """Spares an optimizer the sum over replicas where there is one replica.

    Stands in for `_all_reduce_sum_gradients`. With one replica the sum changes nothing, but
    TensorFlow never frees a graph in which it was traced, and a search traces often.

    Args:
        model: a compiled model.
        optimizer: one that works in the model's training step; None for the model's own.
    """

    def __init__(self, model: keras.Model, optimizer: Any = None) -> None:
        alone = strategy_of(model) is not None and num_replicas(model) == 1
        found = optimizers_of(optimizer or model.optimizer) if alone else ()
        self._optimizers = [one for one in found if hasattr(one, "_all_reduce_sum_gradients")]

    def attach(self) -> None:
        """Leaves the sum out; the training step has to be compiled after this."""
        for one in self._optimizers:
            one._all_reduce_sum_gradients = list

    def detach(self) -> None:
        """Puts the sum back."""
        for one in self._optimizers:
            vars(one).pop("_all_reduce_sum_gradients", None)
