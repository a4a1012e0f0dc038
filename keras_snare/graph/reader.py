"""Reads a model into a `Trace`: nested models and layers made of layers are laid open."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_snare.graph.calls import Call, Trace
from keras_snare.graph.opening import Opened, Place, Shape, open_call
from keras_snare.graph.trace import (
    functional_form,
    is_made_of_layers,
    is_nested_graph,
    is_recorded,
    leaving_nothing,
    nodes_between,
    nodes_of,
    parts_of,
    structure_of,
)


@dataclass
class _Reader:
    """Collects the calls of a graph and of those nested in it."""

    lay_open: bool
    is_known: Callable[[Any], bool]
    calls: list[Call] = field(default_factory=list)
    nested: list[Call] = field(default_factory=list)
    opened: list[Call] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)
    tensors: dict[int, list[Any]] = field(default_factory=dict)
    shapes: dict[int, Shape] = field(default_factory=dict)
    key_of: dict[int, int] = field(default_factory=dict)
    twins: list[tuple[int, int]] = field(default_factory=list)
    read: dict[int, str] = field(default_factory=dict)

    def enter(self, tensor, shape: Shape | None = None) -> int:
        """Issues a key for a symbolic tensor."""
        key = len(self.tensors)
        self.tensors[key] = []
        self.shapes[key] = tuple(tensor.shape) if shape is None else shape
        self.alias(key, tensor)
        return key

    def alias(self, key: int, tensor) -> None:
        """Notes that a symbolic tensor stands for a key."""
        self.tensors[key].append(tensor)
        first = self.key_of.setdefault(id(tensor), key)
        if first != key:
            self.twins.append((first, key))

    def follow(
        self, graph, scope: dict[int, int], prefix: str, place: Place, shapes=None
    ) -> list[int]:
        """Reads a graph whose inputs have their keys in `scope`; returns those of its outputs."""
        for node in graph.nodes if isinstance(graph, Opened) else nodes_of(graph):
            name = self._named(node.operation, prefix)
            keys = {id(tensor): scope[id(tensor)] for tensor in node.input_tensors}
            if not place.recorded:
                self.read.update(dict.fromkeys(_variables(node), prefix.rstrip("/") or "the model"))
            inner, closed = self._graph_of(node, keys)
            if inner is None:
                found = [self.enter(one, (shapes or {}).get(id(one))) for one in node.outputs]
                self.calls.append(_call(node, name, keys, found, place, closed))
            else:
                follow = self._follow_code if isinstance(inner, Opened) else self._follow_model
                found = follow(node, name, keys, inner, place)
                self.nested.append(_call(node, name, keys, found, place))
                for tensor, key in zip(node.outputs, found, strict=True):
                    self.alias(key, tensor)
            scope.update(zip(map(id, node.outputs), found, strict=True))
        return [scope[id(tensor)] for tensor in graph.outputs]

    def _named(self, operation, prefix: str) -> str:
        """A name that no other operation has; the parts of a layer may have the same."""
        name, number = prefix + operation.name, 0
        while self.names.setdefault(name, operation) is not operation:
            number += 1
            name = f"{prefix}{operation.name}_{number}"
        return name

    def _graph_of(self, node, keys: dict[int, int]) -> tuple[Any, str]:
        """The graph that an operation holds, or that its code has, or why there is none."""
        operation = node.operation
        if self.lay_open and is_nested_graph(operation):
            return functional_form(operation), ""
        if not self.lay_open or self.is_known(operation) or not is_made_of_layers(operation):
            return None, ""
        shapes = {at: self.shapes[key] for at, key in keys.items()}
        try:
            with leaving_nothing(operation):
                parts = parts_of(operation)
                code = open_call(operation, parts, node.arguments, shapes, nodes_between)
        except Exception as error:  # Code of a layer may fail in any way.
            return None, f"its call does not run on symbolic inputs, {type(error).__name__}"
        if len(code.outputs) != len(node.outputs):
            return None, "its call returns other tensors than it was said to"
        return code, ""

    def _follow_model(self, node, name: str, keys: dict, graph, place: Place) -> list[int]:
        given = keras.tree.flatten(_first_argument(node.arguments))
        entered = {}
        for tensor, outer in zip(graph.inputs, given, strict=True):
            entered[id(tensor)] = keys[id(outer)]
            self.alias(keys[id(outer)], tensor)
        return self.follow(graph, entered, f"{name}/", place)

    def _follow_code(self, node, name: str, keys: dict, code: Opened, place: Place) -> list[int]:
        entered = {}
        for outer, tensor in code.inputs.items():
            entered[id(tensor)] = keys[outer]
            self.alias(keys[outer], tensor)
        within = place.within
        if within is None:
            within = len(self.opened)
            self.opened.append(_call(node, name, keys, [], place))
        self.read.update(dict.fromkeys(code.read, name))
        inside = Place(recorded=False, within=within)
        found = self.follow(code, entered, f"{name}/", inside, code.shapes)
        if place.within is None:
            self.opened[within] = _call(node, name, keys, found, place)
        return found


def _call(node, name: str, keys: dict, outputs: list[int], place: Place, closed: str = "") -> Call:
    inputs = tuple(dict.fromkeys(keys.values()))
    return Call(node.operation, name, inputs, tuple(outputs), node.arguments, keys, place, closed)


def _variables(node) -> list[int]:
    """Ids of the variables among the arguments of a call."""
    given = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    return [id(value) for value in given if isinstance(value, keras.Variable)]


def _first_argument(arguments) -> Any:
    return arguments.args[0] if arguments.args else arguments.kwargs["inputs"]


def trace(
    model: keras.Model,
    lay_open: bool = True,
    is_known: Callable[[Any], bool] = lambda operation: True,
) -> Trace:
    """Reads the graph of a model. No weight is read.

    Args:
        model: a built Keras model: Sequential, functional, or subclassed with a `call` that runs on
            symbolic inputs.
        lay_open: bool, whether the calls of nested models stand in the place of theirs.
        is_known: tells of an operation whether it stands for itself; the calls of other layers that
            are made of layers stand in the place of theirs.
    """
    functional = functional_form(model)
    recorded = is_recorded(functional)
    reader = _Reader(lay_open, is_known)
    scope = {id(tensor): reader.enter(tensor) for tensor in functional.inputs}
    inputs = tuple(scope.values())
    outputs = tuple(reader.follow(functional, scope, "", Place(recorded)))
    return Trace(
        tuple(reader.calls),
        inputs,
        outputs,
        reader.tensors,
        reader.shapes,
        structure_of(functional),
        tuple(reader.nested),
        tuple(reader.opened),
        tuple(reader.twins),
        recorded,
        reader.read,
    )
