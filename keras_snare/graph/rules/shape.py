"""Layers that move, pool or repeat elements without weights."""

import keras

from keras_snare.graph.channels import reshape_axes
from keras_snare.graph.rules.convolution import channel_axis
from keras_snare.graph.rules.table import operation, row
from keras_snare.graph.view import CallView

layers = keras.layers


_ADAPTIVE = [
    getattr(layers, f"Adaptive{kind}Pooling{rank}D", None)
    for kind in ("Average", "Max")
    for rank in (1, 2, 3)
]


@row(*(one for one in _ADAPTIVE if one is not None))
def adaptive_pooling(view: CallView):
    axis = channel_axis(view)
    view.freeze_other_axes((axis,), "pools over it")
    axes = _only(view, axis)
    view.count(view.positions(view.input_shapes[0], *axes), *axes.values())
    return [axes]


@row(
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
)
def pooling(view: CallView):
    axis = channel_axis(view)
    view.freeze_other_axes((axis,), "pools over it")
    size = view.layer.pool_size
    window = size if isinstance(size, int) else _product(size)
    axes = _only(view, axis)
    view.count_elements(axes, view.output_shapes[0], window)
    return [axes]


def _product(sizes) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product


def _only(view: CallView, axis: int):
    labels = view.inputs[0].get(axis)
    return {} if labels is None else {axis: labels}


@row(
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
)
def global_pooling(view: CallView):
    axis = channel_axis(view)
    view.freeze_other_axes((axis,), "pools over it")
    axes = _only(view, axis)
    view.count_elements(axes, view.input_shapes[0])
    if view.layer.keepdims or not axes:
        return [axes]
    return [{len(view.output_shapes[0]) - 1: axes[axis]}]


@row(
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
)
def spatial(view: CallView):
    last = getattr(view.layer, "data_format", "channels_last") != "channels_first"
    axis = view.axis(-1 if last else 1)
    view.freeze_other_axes((axis,), "resizes it")
    return [_only(view, axis)]


@row(layers.Flatten)
def flatten(view: CallView):
    before, after = view.input_shapes[0], view.output_shapes[0]
    axes = view.inputs[0]
    if view.layer.data_format == "channels_first" and len(before) > 1:
        order = (0, *range(2, len(before)), 1)
        before = tuple(before[axis] for axis in order)
        axes = {order.index(axis): labels for axis, labels in axes.items()}
    return [reshape_axes(view.space, axes, before, after, view.name)]


@operation("reshape")
def reshape_function(view: CallView):
    return [_reshaped(view, view.layer.newshape, 0)]


@row(layers.Reshape)
def reshape(view: CallView):
    return [_reshaped(view, view.layer.target_shape, 1)]


def _reshaped(view: CallView, stated: tuple, start: int):
    before, after = view.input_shapes[0], view.output_shapes[0]
    axes = reshape_axes(view.space, view.inputs[0], before, after, view.name)
    for axis, size in enumerate(stated, start=start):
        if size != -1:
            view.state(axis, axes.get(axis))
    return axes
