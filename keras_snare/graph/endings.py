"""What stands at the end of a graph."""

from typing import Any

import keras

from keras_snare.graph.calls import Trace
from keras_snare.graph.trace import function_name


def last_operation(graph: Trace, at: int) -> Any:
    """Returns the operation that makes an output; None where it is an input.

    What passes on what it gets is left out; of `TimeDistributed` it is the layer inside.

    Args:
        graph: the graph.
        at: int, which output, in their flat order.
    """
    key = graph.outputs[at]
    for call in reversed(graph.calls):
        if key not in call.outputs:
            continue
        operation = call.operation
        if isinstance(operation, keras.layers.TimeDistributed):
            operation = operation.layer
        passes = isinstance(operation, (keras.layers.Activation, keras.layers.Identity))
        if not passes or _name(operation) not in ("", "linear"):
            return operation
        key = call.inputs[0]
    return None


def last_activation(graph: Trace, at: int) -> str:
    """Returns the name of the activation that makes an output; `""` where none is to be seen.

    Args:
        graph: the graph.
        at: int, which output, in their flat order.
    """
    operation = last_operation(graph, at)
    if operation is None:
        return ""
    if not isinstance(operation, keras.Layer):
        return function_name(operation) or ""
    return "softmax" if isinstance(operation, keras.layers.Softmax) else _name(operation)


def _name(layer: Any) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")
