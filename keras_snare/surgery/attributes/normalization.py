"""Layers that state what they are given."""

import keras
import numpy as np

from keras_snare.surgery import variables
from keras_snare.surgery.attributes.table import row

layers = keras.layers


@row(("input_spec",), layers.BatchNormalization)
def batch_normalization(resized):
    shape = resized.input_shapes[0]
    axis = resized.layer.axis
    spec = layers.InputSpec(ndim=len(shape), axes={axis: shape[axis]})
    return {"input_spec": spec}


@row(("groups", "input_spec"), layers.GroupNormalization)
def group_normalization(resized):
    layer, shape = resized.layer, resized.input_shapes[0]
    now, before = shape[layer.axis], resized.sized.inputs[0][0][layer.axis]
    groups = 1 if layer.groups == 1 else layer.groups * now // before
    spec = layers.InputSpec(ndim=len(shape), axes={layer.axis: now})
    return {"groups": groups, "input_spec": spec}


@row(("projection_dim",), "LayerScale")
def layer_scale(resized):
    return {"projection_dim": int(resized.layer.gamma.shape[0])}


@row(("input_spec",), layers.PReLU)
def parametric_relu(resized):
    shape, shared = resized.input_shapes[0], resized.layer.shared_axes
    axes = {at: shape[at] for at in range(1, len(shape)) if at not in shared} if shared else {}
    return {"input_spec": layers.InputSpec(ndim=len(shape), axes=axes)}


@row(("input_spec", "kernel_shape"), layers.SpectralNormalization)
def spectral_normalization(resized):
    spec = layers.InputSpec(min_ndim=1, axes={-1: resized.input_shapes[0][-1]})
    return {"input_spec": spec, "kernel_shape": tuple(resized.layer.kernel.shape)}


@row(
    ("mean", "variance", "input_mean", "input_variance", *variables.NORMALIZATION),
    layers.Normalization,
)
def normalization(resized):
    layer, (shape, axes) = resized.layer, resized.sized.inputs[0]
    own = sorted(axis % len(shape) for axis in layer.axis)
    kept = {axis: np.flatnonzero(resized.kept(shape, axes, axis)) for axis in own if axis in axes}
    changed = variables.normalization_attributes(layer, resized.input_shapes[0])
    for name in ("mean", "variance"):
        # The layer computes with this, which has all axes of the input ...
        statistic = keras.ops.convert_to_numpy(getattr(layer, name))
        changed[name] = keras.ops.convert_to_tensor(_taken(statistic, kept))
        # ... and saves that, which has its own alone, if it was given to the layer.
        given = getattr(layer, f"input_{name}")
        if np.ndim(given) == len(own):
            places = {own.index(axis): positions for axis, positions in kept.items()}
            changed[f"input_{name}"] = _taken(np.asarray(given), places).tolist()
    return changed


def _taken(array: np.ndarray, kept: dict[int, np.ndarray]) -> np.ndarray:
    for axis, positions in kept.items():
        array = array.take(positions, axis=axis)
    return array
