"""Reads the graph of a live Keras model: the only place that knows how Keras stores it.

Stands in for `model.summary()` and the call order that `model(x)` follows, neither of which Keras
offers as data.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.models.functional import Functional

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.calls import Trace


def functional_form(model: keras.Model) -> Any:
    """Returns the functional graph behind a model.

    Raises:
        UnsupportedModelError: when there is none, because the model is not built or its `call` does
            not run on symbolic inputs.
    """
    if not isinstance(model, keras.Model):
        kind = type(model)
        cure = "Build models of tf_keras (Keras 2) again in Keras 3."
        if "tf_keras" not in kind.__module__:
            cure = "Load a file with keras.models.load_model."
        raise UnsupportedModelError(
            f"Expected a Keras 3 model. Received: {kind.__module__}.{kind.__name__}. {cure}"
        )
    functional = model._functional if type(model).call is keras.Sequential.call else model
    if functional is None:
        raise UnsupportedModelError(
            f"Model {model.name!r} has no graph yet. Give it a keras.Input, or call "
            "model.build(input_shape), first."
        )
    return functional if _computes_its_graph(functional) else _symbolic_form(functional)


def _symbolic_form(model: keras.Model) -> keras.Function:
    """Calls a subclassed model on symbolic inputs; the graph of that call is the model's."""
    if not model.built:
        raise UnsupportedModelError(
            f"Model {model.name!r} is subclassed ({type(model).__name__}) and not built yet, so "
            "there is no graph of it. Call it on a batch of data first."
        )
    try:
        with leaving_nothing(model):
            inputs = _symbolic_inputs(model)
            return keras.Function(inputs, model.call(*inputs))
    except Exception as error:  # A user's code may fail in any way.
        raise UnsupportedModelError(
            f"Model {model.name!r} is subclassed ({type(model).__name__}), and its call does not "
            f"run on symbolic inputs ({type(error).__name__}: {error}). Write it with Keras layers "
            "and keras.ops, or build the model with the functional API: inputs = keras.Input(...); "
            "keras.Model(inputs, outputs)."
        ) from error


@contextmanager
def leaving_nothing(layer: keras.layers.Layer) -> Iterator[None]:
    """Forgets calls on symbolic tensors that are made of a layer's parts, and the names given."""
    held = list(layer._flatten_layers())
    before = [(len(one._inbound_nodes), len(one._outbound_nodes)) for one in held]
    counters = global_state.get_global_attribute("object_name_uids", defaultdict(int), True)
    names = dict(counters)
    try:
        yield
    finally:
        for one, (inbound, outbound) in zip(held, before, strict=True):
            del one._inbound_nodes[inbound:]
            del one._outbound_nodes[outbound:]
        counters.clear()
        counters.update(names)


@contextmanager
def without_values() -> Iterator[None]:
    """Has models be built whose variables have a shape but no values, which take up no memory."""
    name = "uninitialized_variables"
    before = list(global_state.get_global_attribute(name, [], True))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(name, before)


def _symbolic_inputs(model: keras.Model) -> list[Any]:
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


def _computes_its_graph(model: keras.Model) -> bool:
    """Tells whether a model holds a graph and no `call` of its own, which may do otherwise."""
    return hasattr(model, "_nodes_by_depth") and type(model).call is Functional.call


def is_nested_graph(operation) -> bool:
    """Tells whether an operation is a model that computes a graph."""
    if type(operation).call is keras.Sequential.call:
        return operation._functional is not None
    return _computes_its_graph(operation)


def is_made_of_layers(operation) -> bool:
    """Tells whether an operation is a layer, not one of Keras, whose parts have weights."""
    if not isinstance(operation, keras.Layer) or type(operation).__module__.startswith("keras."):
        return False
    return any(one.weights for one in parts_of(operation))


def parts_of(layer: keras.layers.Layer) -> list[Any]:
    """The layers that a layer is made of, and those that these are made of."""
    return layer._flatten_layers(include_self=False)


def children_of(layer: keras.layers.Layer) -> list[Any]:
    """The layers that a layer holds itself, in the order in which it got them."""
    held = layer._flatten_layers(include_self=False, recursive=False)
    order = {id(one): at for at, one in enumerate(getattr(layer, "layers", ()))}
    return sorted(held, key=lambda one: order.get(id(one), len(order)))


def nodes_of(functional) -> list[Any]:
    """The calls of a graph, each after those whose results it reads."""
    by_depth = functional._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def nodes_between(inputs: list[Any], outputs: list[Any]) -> list[Any]:
    """The calls that make symbolic tensors of others, each after those whose results it reads."""
    done = {id(tensor) for tensor in inputs}
    found, waiting = [], list(outputs)
    while waiting:
        if id(waiting[-1]) in done:
            waiting.pop()
            continue
        operation, number, _ = waiting[-1]._keras_history
        node = operation._inbound_nodes[number]
        missing = [tensor for tensor in node.input_tensors if id(tensor) not in done]
        waiting += reversed(missing)
        if not missing:
            found.append(node)
            done.update(map(id, node.outputs))
    return found


def input_structure_of(functional) -> Any:
    """The inputs of a graph in their structure."""
    return functional._inputs_struct


def structure_of(functional) -> Any:
    """The outputs of a graph in their structure."""
    return functional._outputs_struct


def is_recorded(functional) -> bool:
    """Tells whether a model runs the graph; otherwise it was read of code."""
    return isinstance(functional, Functional)


def states_its_graph(model: keras.Model) -> bool:
    """Tells whether a model is built from the configurations of its layers."""
    return type(model) in (keras.Sequential, keras.Model, Functional)


def takes_a_graph(kind: type) -> bool:
    """Tells whether a class of models is built of layers or tensors, as those of Keras are."""
    plain = keras.Sequential if issubclass(kind, keras.Sequential) else Functional
    taken, own = inspect.getfullargspec(kind.__init__), inspect.getfullargspec(plain.__init__)
    # The rest is then handed on.
    return taken.args == own.args or bool(taken.varargs and taken.varkw)


def function_name(operation) -> str | None:
    """Name in `keras.ops` of the function that an operation stands for, or None for layers.

    Operators and indexing of symbolic tensors are such functions too: `add`, `get_item`. The layers
    that Keras keeps to its own applications have the name of their class: `LayerScale`; those of
    KerasHub have the name of their module before it.
    """
    kind = type(operation)
    if kind.__module__.startswith("keras_hub."):
        return f"{kind.__module__}.{kind.__name__}"
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


def recorded_tensors(layer: keras.layers.Layer) -> Iterator[Any]:
    """Every symbolic tensor that a layer ever returned.

    A Sequential model calls its layers again whenever one is added, and `layer.output` answers
    with the first call, so that a change of width has to reach the earlier ones too.
    """
    for node in layer._inbound_nodes:
        yield from node.outputs


def compiled_functions(model: keras.Model) -> list[tuple[Any, dict[str, Any]]]:
    """The compiled steps of a model and of those inside of it, by the attribute that holds each."""
    names = ("train_function", "test_function", "predict_function")
    models = [one for one in model._flatten_layers() if isinstance(one, keras.Model)]
    return [(one, {name: getattr(one, name, None) for name in names}) for one in models]


def mask_of(tensor) -> Any:
    """Returns the mask that Keras's losses put on what a layer returned, or None."""
    return getattr(tensor, "_keras_mask", None)


def masked(tensor, mask: Any) -> Any:
    """Has Keras's losses put a mask on a tensor that no layer returned."""
    if mask is not None:
        tensor._keras_mask = mask
    return tensor
