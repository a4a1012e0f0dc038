"""Layers that state how many units they make."""

import keras
import numpy as np

from keras_snare.layers import DCTConv2D, DCTDense, FeatureSelection, KroneckerDense, LowRankDense
from keras_snare.surgery.attributes.table import row

layers = keras.layers

# The attributes in which layers in a basis of cosines keep their frequencies.
SUPPORT = ("coefficients", "frequencies", "fixed_basis")


@row(("units", "input_spec"), layers.Dense)
def dense(resized):
    inputs, units = resized.layer.kernel.shape
    return {"units": int(units), "input_spec": layers.InputSpec(min_ndim=2, axes={-1: int(inputs)})}


@row(("units", "rank", "input_spec"), LowRankDense)
def low_rank_dense(resized):
    inputs, rank = map(int, resized.layer.first.shape)
    spec = layers.InputSpec(min_ndim=2, axes={-1: inputs})
    return {"units": resized.units(), "rank": rank, "input_spec": spec}


@row(("units", "factors", "factor_shape"), KroneckerDense)
def kronecker_dense(resized):
    a, b, _, d = resized.layer.factor_shape
    units = resized.units()
    c = units // d
    return {"units": units, "factors": ((a, b), (c, d)), "factor_shape": (a, b, c, d)}


@row(("units", *SUPPORT), DCTDense)
def dct_dense(resized):
    return {"units": resized.units(), **_support(resized)}


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


def _support(resized) -> dict:
    layer = resized.layer
    kept = np.flatnonzero(resized.stays(resized.sized.units["frequency"]))
    if len(kept) == len(layer.frequencies):
        return {}
    frequencies = tuple(layer.frequencies[at] for at in kept.tolist())
    basis = layer.fixed_basis[:, kept]
    return {"coefficients": frequencies, "frequencies": frequencies, "fixed_basis": basis}


def _channel_spec(layer: keras.layers.Layer, channels: int):
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


@row(("filters", "groups", "input_spec", *SUPPORT), DCTConv2D)
def dct_convolution(resized):
    return {**convolution(resized), **_support(resized)}


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
