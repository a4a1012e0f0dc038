"""Reads the graph of a live Keras model: the only place that knows how Keras stores it.

Stands in for `model.summary()` and the call order that `model(x)` follows, neither of which Keras
offers as data.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.models.functional import Functional

from keras_snare.errors import UnsupportedModelError


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
        if getattr(self.operation, "_call_has_training_arg", False):
            kwargs = {**kwargs, "training": training}
        return keras.tree.flatten(self.operation(*args, **kwargs))

    def named_arguments(self) -> dict[str, Any]:
        """The arguments as they were given, symbolic tensors among them, by parameter name."""
        call = self.operation.call
        bound = inspect.signature(call).bind(*self.arguments.args, **self.arguments.kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)


@dataclass(frozen=True, eq=False)
class Trace:
    """The graph of a model as data; nested models are laid open.

    Args:
        calls: every call, each after those whose results it reads.
        inputs, outputs: keys of the model's own input and output tensors.
        tensors: key to the symbolic tensors that stand for it: one, and where it enters or leaves
            a nested model, those of the nested model too.
        nested: the nested models, as calls.
        twins: pairs of keys that one symbolic tensor stands for, since its model is used twice.
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: dict[int, list[Any]]
    nested: tuple[Call, ...] = ()
    twins: tuple[tuple[int, int], ...] = ()

    def shape(self, key: int) -> tuple[int | None, ...]:
        """Shape of a tensor, batch axis first."""
        return tuple(self.tensors[key][0].shape)

    def operations(self) -> list[Any]:
        """Every operation, nested model, and layer inside of one, once each."""
        found: dict[int, Any] = {}
        for call in (*self.calls, *self.nested):
            layer = isinstance(call.operation, keras.Layer)
            inner = call.operation._flatten_layers() if layer else [call.operation]
            found.update((id(one), one) for one in inner)
        return list(found.values())

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


def functional_form(model) -> Any:
    """Returns the functional graph behind a model.

    Raises:
        UnsupportedModelError: when the model has none, because it is not built or subclassed.
    """
    if not isinstance(model, keras.Model):
        raise UnsupportedModelError(
            f"Expected a Keras 3 model. Received: {type(model).__module__}.{type(model).__name__}. "
            "Models of tf_keras (Keras 2) must be rebuilt in Keras 3."
        )
    functional = model._functional if type(model).call is keras.Sequential.call else model
    if functional is None:
        raise UnsupportedModelError(
            f"Model {model.name!r} has no graph yet. Give it a keras.Input, or call "
            "model.build(input_shape), before it is pruned."
        )
    if not _computes_its_graph(functional):
        raise UnsupportedModelError(
            f"Model {model.name!r} is subclassed ({type(model).__name__}), so Keras holds no graph "
            "of it. Build it with the functional API: inputs = keras.Input(...); "
            "keras.Model(inputs, outputs)."
        )
    return functional


def _computes_its_graph(model) -> bool:
    """Tells whether a model holds a graph and no `call` of its own, which may do otherwise."""
    return hasattr(model, "_nodes_by_depth") and type(model).call is Functional.call


def _is_nested_graph(operation) -> bool:
    if type(operation).call is keras.Sequential.call:
        return operation._functional is not None
    return _computes_its_graph(operation)


@dataclass
class _Reader:
    """Collects the calls of a graph and of those nested in it."""

    lay_open: bool
    calls: list[Call] = field(default_factory=list)
    nested: list[Call] = field(default_factory=list)
    tensors: dict[int, list[Any]] = field(default_factory=dict)
    key_of: dict[int, int] = field(default_factory=dict)
    twins: list[tuple[int, int]] = field(default_factory=list)

    def enter(self, tensor) -> int:
        """Issues a key for a symbolic tensor."""
        key = len(self.tensors)
        self.tensors[key] = []
        self.alias(key, tensor)
        return key

    def alias(self, key: int, tensor) -> None:
        """Notes that a symbolic tensor stands for a key."""
        self.tensors[key].append(tensor)
        first = self.key_of.setdefault(id(tensor), key)
        if first != key:
            self.twins.append((first, key))

    def follow(self, functional, scope: dict[int, int], prefix: str) -> list[int]:
        """Reads a graph whose inputs have their keys in `scope`; returns those of its outputs."""
        for depth in sorted(functional._nodes_by_depth, reverse=True):
            for node in functional._nodes_by_depth[depth]:
                if not node.is_input:
                    self._follow_node(node, scope, prefix)
        return [scope[id(tensor)] for tensor in functional.outputs]

    def _follow_node(self, node, scope: dict[int, int], prefix: str) -> None:
        operation, name = node.operation, prefix + node.operation.name
        keys = {id(tensor): scope[id(tensor)] for tensor in node.input_tensors}
        inputs = tuple(dict.fromkeys(keys.values()))
        if self.lay_open and _is_nested_graph(operation):
            graph = functional_form(operation)
            inner = {}
            given = keras.tree.flatten(_first_argument(node.arguments))
            for tensor, outer in zip(graph.inputs, given, strict=True):
                inner[id(tensor)] = keys[id(outer)]
                self.alias(keys[id(outer)], tensor)
            outputs = self.follow(graph, inner, f"{name}/")
            for tensor, key in zip(node.outputs, outputs, strict=True):
                scope[id(tensor)] = key
                self.alias(key, tensor)
            call = Call(operation, name, inputs, tuple(outputs), node.arguments, keys)
            self.nested.append(call)
        else:
            outputs = [self.enter(tensor) for tensor in node.outputs]
            scope.update(zip(map(id, node.outputs), outputs, strict=True))
            call = Call(operation, name, inputs, tuple(outputs), node.arguments, keys)
            self.calls.append(call)


def _first_argument(arguments) -> Any:
    return arguments.args[0] if arguments.args else arguments.kwargs["inputs"]


def trace(model, lay_open: bool = True) -> Trace:
    """Reads the graph of a Sequential or functional model. No weight is read.

    Args:
        model: a built Sequential or functional Keras model.
        lay_open: bool, whether the calls of nested models stand in the place of theirs.
    """
    functional = functional_form(model)
    reader = _Reader(lay_open)
    scope = {id(tensor): reader.enter(tensor) for tensor in functional.inputs}
    inputs = tuple(scope.values())
    outputs = tuple(reader.follow(functional, scope, ""))
    return Trace(
        tuple(reader.calls),
        inputs,
        outputs,
        reader.tensors,
        tuple(reader.nested),
        tuple(reader.twins),
    )


def function_name(operation) -> str | None:
    """Name in `keras.ops` of the function that an operation stands for, or None for layers.

    Operators and indexing of symbolic tensors are such functions too: `add`, `get_item`.
    """
    kind = type(operation)
    if not kind.__module__.startswith("keras.src.ops."):
        return None
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


def argument_keys(call: Call) -> tuple[int, ...]:
    """Keys of the tensors among a call's arguments, repeated where one is passed twice."""
    return tuple(call.keys[id(tensor)] for tensor in call.arguments.keras_tensors)


def recorded_tensors(layer) -> Iterator[Any]:
    """Every symbolic tensor that a layer ever returned.

    A Sequential model calls its layers again whenever one is added, and `layer.output` answers
    with the first call, so that a change of width has to reach the earlier ones too.
    """
    for node in layer._inbound_nodes:
        yield from node.outputs


def compiled_functions(model) -> dict[str, Any]:
    """The model's compiled steps, by the attribute that holds each."""
    names = ("train_function", "test_function", "predict_function")
    return {name: getattr(model, name, None) for name in names}
