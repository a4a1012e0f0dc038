"""Convolutions."""

from math import prod

import keras

from keras_snare.graph.rules.activation import activated
from keras_snare.graph.rules.dense import adapter_wall
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import CallView


def channel_axis(view: CallView) -> int:
    """Axis of the channels, by the layer's data format."""
    return view.axis(-1 if view.layer.data_format == "channels_last" else 1)


@row(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
def convolution(view: CallView):
    layer, axis = view.layer, channel_axis(view)
    if adapter_wall(view):
        return [{}]
    view.freeze_other_axes((axis,), "moves its window over it")
    if layer.groups != 1:
        view.freeze_other_axes((), "is a grouped convolution")
        view.count(2 * prod(layer.kernel.shape) * view.positions(view.output_shapes[0], axis))
        return [{}]
    read = view.read(layer.kernel, -2, axis)
    filters = view.produce(layer.filters, (layer.kernel, -1), (layer.bias, 0))
    positions = view.positions(view.output_shapes[0], axis)
    taps = prod(layer.kernel_size)
    channels = view.input_shapes[0][axis] if read is None else read
    view.count(2 * taps * positions, channels, filters)
    if layer.bias is not None:
        view.count(positions, filters)
    return [activated(view, layer.activation, {axis: filters})]
