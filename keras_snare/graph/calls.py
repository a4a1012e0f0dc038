"""The graph of a model as plain data."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras


@dataclass(frozen=True, eq=False)
class Call:
    """One application of an operation (mostly a layer) to symbolic tensors.

    Args:
        operation: the Keras operation.
        name: str, its name, behind those of the nested models that it lies in: `"encoder/dense"`.
        inputs, outputs: keys of the tensors that it reads and writes, in order.
        arguments: Keras's record of the call, filled with values to run it.
        keys: id of each symbolic tensor among the arguments to its key.
    """

    operation: Any
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arguments: Any
    keys: dict[int, int]

    def filled(self, values: dict[int, Any]) -> tuple[tuple, dict]:
        """The arguments of the call with values, by tensor key, in the place of its tensors."""
        return self.arguments.fill_in({at: values[key] for at, key in self.keys.items()})

    def apply(self, values: dict[int, Any]) -> list[Any]:
        """Calls the operation as it was called, on other tensors or values, by tensor key."""
        args, kwargs = self.filled(values)
        return keras.tree.flatten(self.operation(*args, **kwargs))

    def run(self, values: dict[int, Any], training: bool) -> list[Any]:
        """Computes the outputs from `values`, a map from tensor keys to values."""
        args, kwargs = self.filled(values)
        if "training" in self._parameters:
            kwargs = {**kwargs, "training": training}
        return keras.tree.flatten(self.operation(*args, **kwargs))

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.operation.call).parameters

    def named_arguments(self) -> dict[str, Any]:
        """The arguments as they were given, symbolic tensors among them, by parameter name."""
        signature = inspect.Signature(list(self._parameters.values()))
        bound = signature.bind(*self.arguments.args, **self.arguments.kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    @cached_property
    def argument_keys(self) -> tuple[int, ...]:
        """Keys of the tensors among the arguments, repeated where one is passed twice."""
        return tuple(self.keys[id(tensor)] for tensor in self.arguments.keras_tensors)


@dataclass(frozen=True, eq=False)
class Trace:
    """The graph of a model as data; nested models are laid open.

    Args:
        calls: every call, each after those whose results it reads.
        inputs, outputs: keys of the model's own input and output tensors.
        tensors: key to the symbolic tensors that stand for it: one, and where it enters or leaves
            a nested model, those of the nested model too.
        structure: the model's outputs in their structure.
        nested: the nested models, as calls.
        recorded: whether the model runs this very graph, so that what calls state in it can be
            changed; otherwise it was read of a `call` in Python.
        twins: pairs of keys that one symbolic tensor stands for, since its model is used twice.
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: dict[int, list[Any]]
    structure: Any
    nested: tuple[Call, ...] = ()
    twins: tuple[tuple[int, int], ...] = ()
    recorded: bool = True

    def shape(self, key: int) -> tuple[int | None, ...]:
        """Shape of a tensor, batch axis first."""
        return tuple(self.tensors[key][0].shape)

    def run(
        self, inputs: list[Any], read: Callable[[Call, int, Any], Any], training: bool = False
    ) -> list[Any]:
        """Runs the graph on values.

        Args:
            inputs: one value per model input.
            read: called as `read(call, key, value)` before a call reads a tensor; what it returns
                is what that call reads.
            training: bool, as in `model(x, training=...)`.

        Returns:
            The model's outputs, flat.
        """
        values = dict(zip(self.inputs, inputs, strict=True))
        for call in self.calls:
            seen = {key: read(call, key, values[key]) for key in call.inputs}
            values.update(zip(call.outputs, call.run(seen, training), strict=True))
        return [values[key] for key in self.outputs]
