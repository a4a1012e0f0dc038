"""Layers that state what they are given."""

import keras

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


@row((variables.NORMALIZATION,), layers.Normalization)
def normalization(resized):
    return {variables.NORMALIZATION: resized.input_shapes[0]}
