"""A model in Keras 3 to the layers of its twin, as plain data; nothing is built."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.graph import Call, Trace, recorded_graph
from keras_snare.quantize import layers, operations  # noqa: F401 - they fill the table
from keras_snare.quantize.names import Names, cleaned
from keras_snare.quantize.parts import Untranslated, unsupported
from keras_snare.quantize.table import Parts, parts_of_call


@dataclass(frozen=True, eq=False)
class PlannedCall:
    """What one call in Keras 3 becomes.

    Args:
        call: the call.
        inputs: keys of the tensors that it reads, in the order of its arguments.
        listed: bool, whether it was given them as a list.
        names: name of the layer in tf_keras for each part.
        parts: what it becomes.
    """

    call: Call
    inputs: tuple[int, ...]
    listed: bool
    names: tuple[str, ...]
    parts: Parts


@dataclass(frozen=True, eq=False)
class Plan:
    """What a model becomes.

    Args:
        name: str, for the model in tf_keras.
        graph: the model in Keras 3.
        inputs: arguments of `tf_keras.Input` for each of its inputs.
        calls: what its calls become.
    """

    name: str
    graph: Trace
    inputs: tuple[dict[str, Any], ...]
    calls: tuple[PlannedCall, ...]


def planned(model) -> Plan:
    """Returns what a model becomes.

    Raises:
        UnsupportedModelError: when it is not built, subclassed, not in float32, or holds a layer
            without an equal.
    """
    graph = recorded_graph(model)
    _check_inputs(model)
    names = Names()
    inputs = tuple(_input(graph.tensors[key][0], names) for key in graph.inputs)
    named: dict[int, tuple[Parts, tuple[str, ...]]] = {}
    for call in graph.nested:
        _check_others(call)
    calls = []
    for call in graph.calls:
        if id(call.operation) not in named:
            parts = _parts(call, graph.shapes)
            own = tuple(names.new(call.name + part.suffix) for part in parts)
            named[id(call.operation)] = parts, own
        keys, listed = _read(call)
        parts, own = named[id(call.operation)]
        calls.append(PlannedCall(call, keys, listed, own, parts))
    return Plan(cleaned(model.name), graph, inputs, tuple(calls))


def _check_inputs(model) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer) and getattr(layer, "optional", False):
            raise unsupported(layer.name, "InputLayer", "it is optional")


def _input(tensor, names: Names) -> dict[str, Any]:
    # Where the user gave none, Keras counts symbolic tensors.
    name = "input" if tensor.name.startswith("keras_tensor") else tensor.name
    if getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
        raise unsupported(name, "Input", "it takes sparse or ragged tensors")
    return {
        "shape": tuple(tensor.shape[1:]),
        "batch_size": tensor.shape[0],
        "dtype": tensor.dtype,
        "name": names.new(name),
    }


def _parts(call: Call, shapes: Mapping[int, tuple]) -> Parts:
    try:
        _check_precision(call.operation)
        return parts_of_call(call, shapes)
    except Untranslated as error:
        raise unsupported(call.name, type(call.operation).__name__, str(error)) from error


def _check_precision(operation) -> None:
    if isinstance(operation, keras.Layer) and operation.dtype_policy.name != "float32":
        raise Untranslated(
            f"its precision is {operation.dtype_policy.name!r}, and TF-MOT takes float32 only"
        )


def _read(call: Call) -> tuple[tuple[int, ...], bool]:
    """Keys of the tensors that a call reads, and whether they were given as a list.

    Raises:
        UnsupportedModelError: when a layer is given other things than tensors.
    """
    if not isinstance(call.operation, keras.Layer):
        return call.argument_keys, len(call.argument_keys) > 1
    first = _check_others(call)
    given = keras.tree.flatten(first)
    strange = [one for one in given if not isinstance(one, keras.KerasTensor)]
    if strange:
        kind = type(call.operation).__name__
        raise unsupported(call.name, kind, f"it is called on a constant, {strange[0]!r}")
    keys = tuple(call.keys[id(tensor)] for tensor in given)
    return keys, not isinstance(first, keras.KerasTensor)


def _check_others(call: Call) -> Any:
    """Returns the first argument of a layer's call, beside which there may be no other."""
    (_, first), *others = call.named_arguments().items()
    for name, value in others:
        # Keras notes training=False for every Dropout, and `fit` calls it with True all the same.
        nothing = all(one is None for one in keras.tree.flatten(value))
        if not (nothing or (name == "training" and value is False)):
            kind = type(call.operation).__name__
            raise unsupported(call.name, kind, f"it is called with {name}={value!r}")
    return first
