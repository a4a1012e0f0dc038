"""What a layer says about its own size: one row per layer class, beside the rules of the graph.

A row sets the attributes that name a width, from the variables and the input as they are after the
cut. Layers that name no width need no row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.graph import AxisLabels, Sized
from keras_snare.graph.trace import function_name
from keras_snare.layers import FeatureSelection

layers = keras.layers


@dataclass(frozen=True, eq=False)
class Resized:
    """One layer after its variables were cut.

    Args:
        sized: the layer, and the tensors that it was called on before the cut.
        input_shapes, output_shapes: the shapes now, batch axis first.
        stays: tells of labels which of their positions stayed.
    """

    sized: Sized
    input_shapes: list[tuple]
    output_shapes: list[tuple]
    stays: Callable[[np.ndarray], np.ndarray]

    @property
    def layer(self) -> Any:
        """The layer, or another operation."""
        return self.sized.layer

    def kept(self, shape: tuple, axes: AxisLabels, axis: int) -> np.ndarray:
        """Tells which positions of an axis stayed; of an axis without channels, all did."""
        if axis in axes:
            return self.stays(axes[axis])
        return np.ones(shape[axis] or 0, dtype=bool)

    def units(self, axis: str = "") -> int:
        """How many of the units that the layer makes stayed."""
        return int(self.stays(self.sized.units[axis]).sum())


Row = tuple[tuple[str, ...], Callable[[Resized], dict]]
ATTRIBUTES: dict[type | str, Row] = {}
ARGUMENTS: dict[str, Callable[[Resized], tuple[tuple, dict]]] = {}


def row(names: tuple[str, ...], *classes: type | str):
    """Enters a row: the attributes that it may set, for layer classes or `keras.ops` functions."""

    def enter(rule):
        for one in classes:
            ATTRIBUTES[one] = (names, rule)
        return rule

    return enter


def arguments(function: str):
    """Enters a row for a `keras.ops` function that is told a width when it is called."""

    def enter(rule):
        ARGUMENTS[function] = rule
        return rule

    return enter


def _row(operation) -> Row | None:
    return ATTRIBUTES.get(type(operation)) or ATTRIBUTES.get(function_name(operation) or "")


def attribute_names(operation) -> tuple[str, ...]:
    """Names of the attributes that a cut may change on an operation."""
    found = _row(operation)
    return found[0] if found else ()


def new_attributes(resized: Resized) -> dict:
    """Returns the attributes of an operation and their values after the cut."""
    found = _row(resized.layer)
    return found[1](resized) if found else {}


def new_arguments(resized: Resized) -> tuple[tuple, dict]:
    """Returns what the recorded call passes after the cut."""
    rule = ARGUMENTS.get(function_name(resized.layer) or "")
    if rule is not None:
        return rule(resized)
    recorded = resized.sized.call.arguments
    return recorded.args, recorded.kwargs


@row(("units", "input_spec"), layers.Dense)
def dense(resized):
    inputs, units = resized.layer.kernel.shape
    return {"units": int(units), "input_spec": layers.InputSpec(min_ndim=2, axes={-1: int(inputs)})}


@row(("filters", "input_spec"), layers.Conv1D, layers.Conv2D, layers.Conv3D)
def convolution(resized):
    layer = resized.layer
    axis = -1 if layer.data_format == "channels_last" else 1
    channels = int(layer.kernel.shape[-2]) * layer.groups
    spec = layers.InputSpec(min_ndim=layer.rank + 2, axes={axis: channels})
    return {"filters": int(layer.kernel.shape[-1]), "input_spec": spec}


@row(("input_spec",), layers.BatchNormalization)
def batch_normalization(resized):
    shape = resized.input_shapes[0]
    axis = resized.layer.axis
    spec = layers.InputSpec(ndim=len(shape), axes={axis: shape[axis]})
    return {"input_spec": spec}


@row(("input_spec",), layers.PReLU)
def parametric_relu(resized):
    shape, shared = resized.input_shapes[0], resized.layer.shared_axes
    axes = {at: shape[at] for at in range(1, len(shape)) if at not in shared} if shared else {}
    return {"input_spec": layers.InputSpec(ndim=len(shape), axes=axes)}


@row(("target_shape",), layers.Reshape)
def reshape(resized):
    named = zip(resized.layer.target_shape, resized.output_shapes[0][1:], strict=True)
    return {"target_shape": tuple(-1 if size == -1 else now for size, now in named)}


@row(("noise_shape",), layers.Dropout, layers.AlphaDropout)
def dropout(resized):
    stated = resized.layer.noise_shape
    if stated is None:
        return {}
    sizes = zip(stated, resized.output_shapes[0], strict=True)
    return {"noise_shape": tuple(size if size in (None, 1) else now or size for size, now in sizes)}


@row(("indices",), FeatureSelection)
def feature_selection(resized):
    kept = np.flatnonzero(resized.stays(resized.sized.units[""]))
    return {"indices": tuple(resized.layer.indices[at] for at in kept.tolist())}
