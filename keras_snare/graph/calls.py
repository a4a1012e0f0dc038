"""The graph of a model as plain data."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras

from keras_snare.graph.opening import Place, calling


@dataclass(frozen=True, eq=False)
class Call:
    """One application of an operation (mostly a layer) to symbolic tensors.

    Args:
        operation: the Keras operation.
        name: str, its name, behind those of the models and layers that it lies in:
            `"encoder/dense"`.
        inputs, outputs: keys of the tensors that it reads and writes, in order.
        arguments: Keras's record of the call, filled with values to run it.
        keys: id of each symbolic tensor among the arguments to its key.
        place: whether the model runs this very call, and in which layer's code it stands.
        closed: str, why the operation was not laid open, if it was tried.
    """

    operation: Any
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arguments: Any
    keys: dict[int, int]
    place: Place = field(default_factory=Place)
    closed: str = ""

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

    def replaced(self, args: tuple, kwargs: dict, read: Callable) -> tuple[tuple, dict]:
        """The arguments of a running call, those that are tensors in the graph handed to `read`."""
        given, values = self.arguments, {}

        def hand_over(symbol, value):
            if not isinstance(symbol, keras.KerasTensor) or value is None:
                return value
            key = self.keys[id(symbol)]
            if key not in values:
                values[key] = read(self, key, value)
            return values[key]

        def each(symbols, value):
            pairs = keras.tree.flatten(symbols), keras.tree.flatten(value)
            if len(pairs[0]) != len(pairs[1]):
                return value
            return keras.tree.pack_sequence_as(value, list(map(hand_over, *pairs)))

        named = {name: each(given.kwargs.get(name), value) for name, value in kwargs.items()}
        return (*map(each, given.args, args), *args[len(given.args) :]), named

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
class Step:
    """What runs as one: a call, or a layer that was laid open with all the calls in it.

    Args:
        call: what runs.
        inside: the calls in it, of a layer that was laid open.
    """

    call: Call
    inside: tuple[Call, ...] = ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that read tensors here."""
        return self.inside or (self.call,)

    def run(
        self, values: dict[int, Any], read: Callable[[Call, int, Any], Any], training: bool = False
    ) -> dict[int, Any]:
        """Returns the outputs by key; `values` holds the inputs, for the rest see `Trace.run`."""
        if not self.inside:
            seen = {key: read(self.call, key, values[key]) for key in self.call.inputs}
            return dict(zip(self.call.outputs, self.call.run(seen, training), strict=True))
        with ExitStack() as stack:
            _listen(stack, self.inside, read)
            found = self.call.run({key: values[key] for key in self.call.inputs}, training)
        return dict(zip(self.call.outputs, found, strict=True))


@dataclass(frozen=True, eq=False)
class Trace:
    """The graph of a model as data; nested models are laid open.

    Args:
        calls: every call, each after those whose results it reads.
        inputs, outputs: keys of the model's own input and output tensors.
        tensors: key to the symbolic tensors that stand for it: one, and where it enters or leaves
            a nested model or a layer that was laid open, those of its graph too.
        shapes: key to the shape of the tensor, batch axis first.
        structure: the model's outputs in their structure.
        nested: the nested models and the layers that were laid open, as calls.
        opened: of these the layers, those within others left out.
        recorded: whether the model runs this very graph, so that what calls state in it can be
            changed; otherwise it was read of a `call` in Python.
        twins: pairs of keys that one symbolic tensor stands for, since its model is used twice.
        read: id of each variable that code of a layer reads by itself, and the name of the layer.
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: dict[int, list[Any]]
    shapes: dict[int, tuple[int | None, ...]]
    structure: Any
    nested: tuple[Call, ...] = ()
    opened: tuple[Call, ...] = ()
    twins: tuple[tuple[int, int], ...] = ()
    recorded: bool = True
    read: Mapping[int, str] = field(default_factory=dict)

    def shape(self, key: int) -> tuple[int | None, ...]:
        """Shape of a tensor, batch axis first."""
        return self.shapes[key]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What runs one after the other; a layer that was laid open runs as it is."""
        inside: dict[int, list[Call]] = {at: [] for at in range(len(self.opened))}
        for call in self.calls:
            if call.place.within is not None:
                inside[call.place.within].append(call)
        steps: list[Step] = []
        begun: set[int] = set()
        for call in self.calls:
            within = call.place.within
            if within is None:
                steps.append(Step(call))
            elif within not in begun:
                begun.add(within)
                steps.append(Step(self.opened[within], tuple(inside[within])))
        return tuple(steps)

    def run(
        self, inputs: list[Any], read: Callable[[Call, int, Any], Any], training: bool = False
    ) -> list[Any]:
        """Runs the graph on values; a layer that was laid open runs as it is.

        Args:
            inputs: one value per model input.
            read: called as `read(call, key, value)` before a call reads a tensor; what it returns
                is what that call reads.
            training: bool, as in `model(x, training=...)`.

        Returns:
            The model's outputs, flat.
        """
        values = dict(zip(self.inputs, inputs, strict=True))
        for step in self.steps:
            values.update(step.run(values, read, training))
        return [values[key] for key in self.outputs]


def _listen(
    stack: ExitStack, inside: Iterable[Call], read: Callable[[Call, int, Any], Any]
) -> None:
    """Has `read` stand before the calls of layers inside of one that runs as it is."""
    by_layer: dict[int, list[Call]] = {}
    for call in inside:
        if isinstance(call.operation, keras.Layer):
            by_layer.setdefault(id(call.operation), []).append(call)
    for calls in by_layer.values():
        coming = iter(calls)

        def before(args: Any, kwargs: Any, coming=coming):
            call = next(coming, None)
            return (args, kwargs) if call is None else call.replaced(args, kwargs, read)

        stack.enter_context(calling(calls[0].operation, before))
