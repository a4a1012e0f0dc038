"""Where a network is rounded: behind which calls, so that LiteRT still fuses what it can.

Between a convolution and its normalisation, or before a ReLU that LiteRT computes in one go with
what comes before it, there is no rounding. What only moves numbers returns them as they came.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.graph import Call, Trace
from keras_snare.graph.trace import function_name
from keras_snare.quantize.rounding.activations import (
    FIXED,
    FUSED,
    activation_of,
    is_only_activation,
)

layers = keras.layers

# They do nothing at all when a trained network is used.
IDLE: set[type] = {
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
}

# They return numbers in the steps in which these came.
PASSING: set[type] = IDLE | {
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.Embedding,
    layers.Flatten,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.InputLayer,
    layers.Masking,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.Permute,
    layers.RepeatVector,
    layers.Reshape,
    layers.UpSampling1D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
}
PASSING_FUNCTIONS = {
    "average_pool",
    "expand_dims",
    "flip",
    "get_item",
    "max_pool",
    "moveaxis",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "slice",
    "split",
    "squeeze",
    "swapaxes",
    "take",
    "transpose",
    "unstack",
}

AFFINE = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Dense,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
_SUMS = (layers.Add, layers.BatchNormalization, layers.Multiply, layers.Subtract)
_SUM_FUNCTIONS = ("add", "multiply", "subtract")


@dataclass(frozen=True)
class Output:
    """What becomes of what a call returns.

    Args:
        rounded: bool, whether it is rounded.
        fixed: the range, where it depends on no data, or None.
    """

    rounded: bool
    fixed: tuple[float, float] | None = None


def outputs_of(graph: Trace) -> dict[int, Output]:
    """Returns what becomes of the outputs of each call, by its number."""
    readers: dict[int, list[Call]] = {}
    for call in graph.calls:
        for key in call.inputs:
            readers.setdefault(key, []).append(call)
    found = {}
    for at, call in enumerate(graph.calls):
        operation = call.operation
        ends = any(key in graph.outputs for key in call.outputs)
        fixed = FIXED.get(activation_of(operation))
        if passes(operation) or (fixed and ends):
            found[at] = Output(False)
        elif fixed:
            found[at] = Output(True, fixed)
        else:
            found[at] = Output(ends or not _is_fused(call, list(_readers(call, readers, graph))))
    return found


def passes(operation: Any) -> bool:
    """Tells whether an operation only moves numbers."""
    if isinstance(operation, layers.UpSampling2D):
        return operation.interpolation == "nearest"
    if isinstance(operation, layers.Layer):
        is_linear = isinstance(operation, layers.Activation) and _is_linear(operation)
        return type(operation) in PASSING or is_linear
    return function_name(operation) in PASSING_FUNCTIONS


def _readers(call: Call, readers: dict[int, list[Call]], graph: Trace) -> Iterator[Call | None]:
    """The calls that compute with what a call returns; None for the model's output."""
    for key in call.outputs:
        if key in graph.outputs:
            yield None
        for one in readers.get(key, []):
            if type(one.operation) in IDLE:
                yield from _readers(one, readers, graph)
            else:
                yield one


def _is_fused(call: Call, behind: list[Call | None]) -> bool:
    """Tells whether LiteRT computes the call that reads an output in one go with it."""
    reader = behind[0] if len(behind) == 1 else None
    if reader is None or not _is_linear(call.operation):
        return False
    if isinstance(reader.operation, layers.BatchNormalization):
        return isinstance(call.operation, AFFINE)
    fuses = isinstance(call.operation, AFFINE + _SUMS)
    fuses = fuses or function_name(call.operation) in _SUM_FUNCTIONS
    return (
        fuses and is_only_activation(reader.operation) and activation_of(reader.operation) in FUSED
    )


def _is_linear(operation: Any) -> bool:
    if not isinstance(operation, layers.Layer):
        return True
    return activation_of(operation) == "linear"
