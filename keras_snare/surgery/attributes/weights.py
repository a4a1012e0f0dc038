"""Layers that state how many units they make."""

import keras
import numpy as np

from keras_snare.layers import FeatureSelection
from keras_snare.surgery.attributes.table import row

layers = keras.layers


@row(("units", "input_spec"), layers.Dense)
def dense(resized):
    inputs, units = resized.layer.kernel.shape
    return {"units": int(units), "input_spec": layers.InputSpec(min_ndim=2, axes={-1: int(inputs)})}


@row(("partial_output_shape", "full_output_shape"), layers.EinsumDense)
def einsum_dense(resized):
    layer, made = resized.layer, resized.output_shapes[0]

    def now(name):
        stated = getattr(layer, name, ())
        sizes = zip(stated, made[len(made) - len(stated) :], strict=True)
        return tuple(one if size else size for size, one in sizes)

    return {
        "partial_output_shape": now("partial_output_shape"),
        "full_output_shape": now("full_output_shape"),
    }


def _channel_spec(layer, channels: int):
    axis = -1 if layer.data_format == "channels_last" else 1
    return layers.InputSpec(min_ndim=layer.rank + 2, axes={axis: channels})


@row(("filters", "groups", "input_spec"), layers.Conv1D, layers.Conv2D, layers.Conv3D)
def convolution(resized):
    layer = resized.layer
    *_, channels, filters = (int(size) for size in layer.kernel.shape)
    each = layer.filters // layer.groups
    groups = 1 if layer.groups == 1 else filters // each
    spec = _channel_spec(layer, channels * groups)
    return {"filters": filters, "groups": groups, "input_spec": spec}


@row(
    ("filters", "input_spec"),
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
)
def transposed_convolution(resized):
    layer = resized.layer
    *_, filters, channels = (int(size) for size in layer.kernel.shape)
    return {"filters": filters, "input_spec": _channel_spec(layer, channels)}


@row(("input_spec",), layers.DepthwiseConv1D, layers.DepthwiseConv2D)
def depthwise_convolution(resized):
    return {"input_spec": _channel_spec(resized.layer, int(resized.layer.kernel.shape[-2]))}


@row(("filters", "input_spec"), layers.SeparableConv1D, layers.SeparableConv2D)
def separable_convolution(resized):
    layer = resized.layer
    spec = _channel_spec(layer, int(layer.depthwise_kernel.shape[-2]))
    return {"filters": int(layer.pointwise_kernel.shape[-1]), "input_spec": spec}


@row(("output_dim",), layers.Embedding, layers.ReversibleEmbedding)
def embedding(resized):
    return {"output_dim": int(resized.layer.embeddings.shape[-1])}


@row(("indices",), FeatureSelection)
def feature_selection(resized):
    kept = np.flatnonzero(resized.stays(resized.sized.units[""]))
    return {"indices": tuple(resized.layer.indices[at] for at in kept.tolist())}
