"""Convolutions of every kind."""

from math import prod

import keras
import numpy as np

from keras_snare.graph.rules.activation import activated
from keras_snare.graph.rules.dense import adapter_wall
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import CallView
from keras_snare.layers import DCTConv2D

layers = keras.layers


def channel_axis(view: CallView) -> int:
    """Axis of the channels, by the layer's data format."""
    return view.axis(-1 if view.layer.data_format == "channels_last" else 1)


@row(layers.Conv1D, layers.Conv2D, layers.Conv3D, DCTConv2D)
def convolution(view: CallView):
    layer, axis = view.layer, channel_axis(view)
    if adapter_wall(view):
        return [{}]
    view.freeze_other_axes((axis,), "moves its window over it")
    if isinstance(layer, DCTConv2D):
        view.produce(len(layer.frequencies), (layer.kernel, 0), kind="frequency")
    if layer.groups != 1:
        return [activated(view, layer.activation, _grouped(view, axis))]
    read = view.read(layer.kernel, -2, axis)
    filters = view.produce(layer.filters, (layer.kernel, -1), (layer.bias, 0))
    channels = view.input_shapes[0][axis] if read is None else read
    _count(view, axis, prod(layer.kernel_size), filters, channels)
    return [activated(view, layer.activation, {axis: filters})]


def _grouped(view: CallView, axis: int):
    """Groups go whole: the channels that one reads, and the filters that it makes."""
    layer = view.layer
    read = view.inputs[0].get(axis)
    filters = view.produce(layer.filters, (layer.kernel, -1), (layer.bias, 0))
    each = filters.reshape(layer.groups, -1)
    view.space.join_rows(each)
    if read is None:
        view.space.freeze(filters, f"{view.name} is grouped and reads a tensor of fixed width")
    else:
        view.space.join_rows(read.reshape(layer.groups, -1))
        view.space.join(read.reshape(layer.groups, -1)[:, 0], each[:, 0])
    _count(view, axis, prod(layer.kernel_size) * int(layer.kernel.shape[-2]), filters)
    return {axis: filters}


def _count(view: CallView, axis: int, taps: int, filters, *channels) -> None:
    positions = view.positions(view.output_shapes[0], axis)
    view.count(2 * taps * positions, *channels, filters)
    if view.layer.bias is not None:
        view.count(positions, filters)


@row(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
def transposed_convolution(view: CallView):
    layer, axis = view.layer, channel_axis(view)
    view.freeze_other_axes((axis,), "moves its window over it")
    read = view.read(layer.kernel, -1, axis)
    filters = view.produce(layer.filters, (layer.kernel, -2), (layer.bias, 0))
    channels = view.input_shapes[0][axis] if read is None else read
    # Every element of the input, not of the output, meets each tap once.
    view.count(
        2 * prod(layer.kernel_size) * view.positions(view.input_shapes[0], axis), channels, filters
    )
    if layer.bias is not None:
        view.count(view.positions(view.output_shapes[0], axis), filters)
    return [activated(view, layer.activation, {axis: filters})]


@row(layers.DepthwiseConv1D, layers.DepthwiseConv2D)
def depthwise_convolution(view: CallView):
    layer, axis = view.layer, channel_axis(view)
    view.freeze_other_axes((axis,), "moves its window over it")
    channels = view.inputs[0].get(axis)
    made = None if channels is None else np.repeat(channels, layer.depth_multiplier)
    view.bind(layer.kernel, -2, channels)
    if layer.bias is not None:
        view.bind(layer.bias, 0, made)
    _count(
        view, axis, prod(layer.kernel_size), view.output_shapes[0][axis] if made is None else made
    )
    return [activated(view, layer.activation, {} if made is None else {axis: made})]


@row(layers.SeparableConv1D, layers.SeparableConv2D)
def separable_convolution(view: CallView):
    layer, axis = view.layer, channel_axis(view)
    view.freeze_other_axes((axis,), "moves its window over it")
    channels = view.read(layer.depthwise_kernel, -2, axis)
    width = view.input_shapes[0][axis] * layer.depth_multiplier
    between = None if channels is None else np.repeat(channels, layer.depth_multiplier)
    view.bind(layer.pointwise_kernel, -2, between)
    filters = view.produce(layer.filters, (layer.pointwise_kernel, -1), (layer.bias, 0))
    positions = view.positions(view.output_shapes[0], axis)
    between = width if between is None else between
    view.count(2 * prod(layer.kernel_size) * positions, between)
    _count(view, axis, 1, filters, between)
    return [activated(view, layer.activation, {axis: filters})]
