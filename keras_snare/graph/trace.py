"""Reads the graph of a live Keras model: the only place that knows how Keras stores it.

Stands in for `model.summary()` and the call order that `model(x)` follows, neither of which Keras
offers as data.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError


@dataclass(frozen=True, eq=False)
class Call:
    """One application of an operation (mostly a layer) to symbolic tensors.

    Args:
        operation: the Keras operation.
        inputs, outputs: keys of the tensors that it reads and writes, in order.
        arguments: Keras's record of the call, filled with values to run it.
    """

    operation: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arguments: Any

    @property
    def name(self) -> str:
        return self.operation.name

    def apply(self, values: dict[int, Any]) -> list[Any]:
        """Calls the operation as it was called, on other tensors or values, by tensor key."""
        args, kwargs = self.arguments.fill_in(values)
        return keras.tree.flatten(self.operation(*args, **kwargs))

    def run(self, values: dict[int, Any], training: bool) -> list[Any]:
        """Computes the outputs from `values`, a map from tensor keys to values."""
        args, kwargs = self.arguments.fill_in(values)
        if getattr(self.operation, "_call_has_training_arg", False):
            kwargs = {**kwargs, "training": training}
        return keras.tree.flatten(self.operation(*args, **kwargs))


@dataclass(frozen=True, eq=False)
class Trace:
    """The graph of a model as data.

    Args:
        calls: every call, each after those whose results it reads.
        inputs, outputs: keys of the model's own input and output tensors.
        tensors: key to symbolic tensor.
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: dict[int, Any]

    def shape(self, key: int) -> tuple[int | None, ...]:
        """Shape of a tensor, batch axis first."""
        return tuple(self.tensors[key].shape)

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
    functional = getattr(model, "_functional", model) if _is_sequential(model) else model
    if functional is None:
        raise UnsupportedModelError(
            f"Model {model.name!r} has no graph yet. Give it a keras.Input, or call "
            "model.build(input_shape), before it is pruned."
        )
    if not hasattr(functional, "_nodes_by_depth"):
        raise UnsupportedModelError(
            f"Model {model.name!r} is subclassed ({type(model).__name__}), so Keras holds no graph "
            "of it. Build it with the functional API: inputs = keras.Input(...); "
            "keras.Model(inputs, outputs)."
        )
    return functional


def _is_sequential(model) -> bool:
    return isinstance(model, keras.Sequential)


def trace(model) -> Trace:
    """Reads the graph of a Sequential or functional model. No weight is read."""
    functional = functional_form(model)
    calls, tensors = [], {}
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            for tensor in (*node.input_tensors, *node.outputs):
                tensors[id(tensor)] = tensor
            if not node.is_input:
                calls.append(
                    Call(
                        node.operation,
                        tuple(dict.fromkeys(id(tensor) for tensor in node.input_tensors)),
                        tuple(id(tensor) for tensor in node.outputs),
                        node.arguments,
                    )
                )
    inputs = tuple(id(tensor) for tensor in functional.inputs)
    outputs = tuple(id(tensor) for tensor in functional.outputs)
    return Trace(tuple(calls), inputs, outputs, tensors)


def argument_keys(call: Call) -> tuple[int, ...]:
    """Keys of the tensors among a call's arguments, repeated where one is passed twice."""
    return tuple(id(tensor) for tensor in call.arguments.keras_tensors)


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
