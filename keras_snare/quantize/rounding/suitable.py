"""Models that can be rounded, and why others cannot."""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Trace, recorded_graph
from keras_snare.quantize.rounding.activations import activation_of
from keras_snare.quantize.serving import recurrent

# What the converter, or what runs its files, fails at, and what to take instead.
REFUSED: dict[type, str] = {
    keras.layers.GroupNormalization: "LiteRT's converter leaves it in float. Take "
    "LayerNormalization or BatchNormalization.",
}


def suitable_graph(model) -> Trace:
    """The graph of a model that can be rounded.

    Raises:
        UnsupportedModelError: when it is not built, subclassed, not in float32, or holds what
            LiteRT does not compute in integers.
    """
    graph = recorded_graph(model)
    for call in graph.calls:
        reason = _reason(call.operation)
        if reason:
            raise UnsupportedModelError(
                "Expected layers that LiteRT computes in integers. Received: layer "
                f"{call.name!r} ({type(call.operation).__name__}): {reason}"
            )
    return graph


def _reason(operation: Any) -> str:
    """Why an operation cannot be rounded, and what to do; nothing where it can."""
    policy = getattr(operation, "dtype_policy", None)
    if policy is not None and policy.name != "float32":
        return (
            f"it computes in {policy.name!r}. Build the model in float32, without mixed precision "
            "or Keras's own quantization."
        )
    held = recurrent(operation) if isinstance(operation, keras.Layer) else []
    if not all(one.unroll for one in held):
        return "LiteRT's converter leaves its loop in float. Build it with unroll=True."
    if getattr(operation, "rms_scaling", False):
        return "it scales without centering. Take RMSNormalization."
    if activation_of(operation) == "softsign":
        return "LiteRT divides by what softsign rounds to zero. Take another activation."
    return REFUSED.get(type(operation), "")
