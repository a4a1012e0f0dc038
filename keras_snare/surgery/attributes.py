"""What a layer says about its own size: one row per layer class, beside the rules of the graph.

A row sets the attributes that name a width, from the variables and the input as they are after the
cut. Layers that name no width need no row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from keras_snare.layers import FeatureSelection

layers = keras.layers


@dataclass(frozen=True, eq=False)
class Resized:
    """One layer after its variables were cut.

    Args:
        layer: the layer.
        input_shapes, output_shapes: the shapes now, batch axis first.
        kept_outputs: positions that stayed along the first output's last axis.
    """

    layer: object
    input_shapes: tuple[tuple, ...]
    output_shapes: tuple[tuple, ...]
    kept_outputs: np.ndarray


ATTRIBUTES: dict[type, tuple[tuple[str, ...], Callable[[Resized], dict]]] = {}


def row(names: tuple[str, ...], *classes: type):
    """Enters a row: the attributes that it may set, for the given layer classes."""

    def enter(rule):
        for layer_class in classes:
            ATTRIBUTES[layer_class] = (names, rule)
        return rule

    return enter


def attribute_names(layer) -> tuple[str, ...]:
    """Names of the attributes that a cut may change on a layer."""
    return ATTRIBUTES.get(type(layer), ((), None))[0]


def new_attributes(resized: Resized) -> dict:
    """Returns the attributes of a layer and their values after the cut."""
    if type(resized.layer) not in ATTRIBUTES:
        return {}
    return ATTRIBUTES[type(resized.layer)][1](resized)


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
    return {"indices": tuple(resized.layer.indices[at] for at in resized.kept_outputs.tolist())}
