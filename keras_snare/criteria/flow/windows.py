"""Layers that move a window: TensorFlow has some of them in single precision only."""

import keras

from keras_snare.criteria.flow.table import layer, value_of
from keras_snare.graph.opening import replaced

layers = keras.layers


@layer(
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.Conv1D,
    layers.Conv1DTranspose,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Conv3D,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
def window(moving, call, inputs):
    if getattr(moving, "groups", 1) > 1 and moving.padding != "causal":
        return channels_last(moving, lambda values: _grouped(moving, values), inputs)
    return channels_last(moving, call, inputs)


def _grouped(convolution, inputs):
    """One group after the other: Keras compiles a call for all of them, anew each time."""
    kernel, groups = value_of(convolution.kernel), convolution.groups
    strides, dilation = set(convolution.strides), set(convolution.dilation_rate)
    window = (convolution.strides, convolution.padding, "channels_last", convolution.dilation_rate)
    even = len(strides) == len(dilation) == 1 and 1 in (strides | dilation)
    if kernel.shape[-2] == 1 and len(kernel.shape) < 5 and even:
        kernel = keras.ops.reshape(kernel, (*kernel.shape[:-2], groups, -1))
        return keras.ops.depthwise_conv(inputs, kernel, *window)
    parts = keras.ops.split(inputs, groups, axis=-1), keras.ops.split(kernel, groups, axis=-1)
    found = [keras.ops.conv(*pair, *window) for pair in zip(*parts, strict=True)]
    return keras.ops.concatenate(found, axis=-1)


@layer(layers.AveragePooling3D, layers.MaxPooling3D)
def pooling_3d(pooling, call, inputs):
    """First over height and width, then over depth."""
    pool = keras.ops.max_pool if pooling.pool_mode == "max" else keras.ops.average_pool
    sizes, strides, padding = pooling.pool_size, pooling.strides, pooling.padding

    def pooled(values):
        batch, depth, *_ = values.shape
        frames = keras.ops.reshape(values, (batch * depth, *values.shape[2:]))
        frames = pool(frames, sizes[1:], strides[1:], padding, "channels_last")
        rows = keras.ops.reshape(frames, (batch, depth, -1))
        rows = pool(rows, sizes[:1], strides[:1], padding, "channels_last")
        return keras.ops.reshape(rows, (batch, -1, *frames.shape[1:]))

    return channels_last(pooling, pooled, inputs)


def channels_last(moving, call, inputs):
    """Calls a layer with the channels at the last axis, wherever it has them."""
    if moving.data_format == "channels_last":
        return call(inputs)
    with replaced(moving, "data_format", "channels_last"):
        result = call(keras.ops.moveaxis(inputs, 1, -1))
    return keras.ops.moveaxis(result, -1, 1)
