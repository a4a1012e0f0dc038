"""Reads the graph of a live Keras model: the only place that knows how Keras stores it.

Stands in for `model.summary()` and the call order that `model(x)` follows, neither of which Keras
offers as data.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.models.functional import Functional

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.calls import Call, Trace


def functional_form(model) -> Any:
    """Returns the functional graph behind a model.

    Raises:
        UnsupportedModelError: when there is none, because the model is not built or its `call` does
            not run on symbolic inputs.
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
    return functional if _computes_its_graph(functional) else _symbolic_form(functional)


def _symbolic_form(model) -> keras.Function:
    """Calls a subclassed model on symbolic inputs; the graph of that call is the model's."""
    if not model.built:
        raise UnsupportedModelError(
            f"Model {model.name!r} is subclassed ({type(model).__name__}) and not built yet, so "
            "there is no graph of it. Call it on a batch of data first."
        )
    held = list(model._flatten_layers())
    before = [(len(one._inbound_nodes), len(one._outbound_nodes)) for one in held]
    try:
        inputs = _symbolic_inputs(model)
        return keras.Function(inputs, model.call(*inputs))
    except Exception as error:  # A user's code may fail in any way.
        raise UnsupportedModelError(
            f"Model {model.name!r} is subclassed ({type(model).__name__}), and its call does not "
            f"run on symbolic inputs ({type(error).__name__}: {error}). Write it with Keras layers "
            "and keras.ops, or build the model with the functional API: inputs = keras.Input(...); "
            "keras.Model(inputs, outputs)."
        ) from error
    finally:
        for layer, (inbound, outbound) in zip(held, before, strict=True):
            del layer._inbound_nodes[inbound:]
            del layer._outbound_nodes[outbound:]


def _symbolic_inputs(model) -> list[Any]:
    """Tensors like those that a model was called on, one structure per argument."""
    if isinstance(model, Functional):
        return [keras.tree.map_structure(_like, model._inputs_struct)]
    if not model._build_shapes_dict:
        raise ValueError("Keras could not follow it to note the shapes of its inputs")
    return [_of_shape(shape) for shape in model._build_shapes_dict.values()]


def _like(tensor):
    return keras.KerasTensor(tensor.shape, tensor.dtype)


def _of_shape(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {name: _of_shape(one) for name, one in shape.items()}
    if shape and isinstance(shape[0], (list, tuple, dict)):
        return [_of_shape(one) for one in shape]
    return keras.KerasTensor((None, *shape[1:]))


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
    """Reads the graph of a model. No weight is read.

    Args:
        model: a built Keras model: Sequential, functional, or subclassed with a `call` that runs on
            symbolic inputs.
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
        functional._outputs_struct,
        tuple(reader.nested),
        tuple(reader.twins),
        recorded=isinstance(functional, Functional),
    )


def function_name(operation) -> str | None:
    """Name in `keras.ops` of the function that an operation stands for, or None for layers.

    Operators and indexing of symbolic tensors are such functions too: `add`, `get_item`. The layers
    that Keras keeps to its own applications have the name of their class: `LayerScale`.
    """
    kind = type(operation)
    if kind.__module__.startswith("keras.src.applications."):
        return kind.__name__
    if not kind.__module__.startswith("keras.src.ops."):
        return None
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


@dataclass(frozen=True, eq=False)
class Projections:
    """The dense layers inside a Keras attention layer; `gate` is None where it has none."""

    query: Any
    key: Any
    value: Any
    output: Any
    gate: Any


def projections_of(attention) -> Projections:
    """Finds the dense layers that a multi-head or grouped-query attention is made of."""
    return Projections(
        attention._query_dense,
        attention._key_dense,
        attention._value_dense,
        attention._output_dense,
        getattr(attention, "_gate_dense", None),
    )


def operations_of(graph: Trace) -> list[Any]:
    """Returns every operation, nested model, and layer inside of one, once each."""
    found: dict[int, Any] = {}
    for call in (*graph.calls, *graph.nested):
        layer = isinstance(call.operation, keras.Layer)
        inner = call.operation._flatten_layers() if layer else [call.operation]
        found.update((id(one), one) for one in inner)
    return list(found.values())


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
