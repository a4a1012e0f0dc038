"""Normalisations: their parameters are cut with the channels that they scale."""

import keras
import numpy as np

from keras_snare.graph.rules.table import operation, row
from keras_snare.graph.view import CallView

layers = keras.layers


@row(layers.BatchNormalization)
def batch_normalization(view: CallView):
    layer, axis = view.layer, view.axis(view.layer.axis)
    view.freeze_other_axes((axis,), "takes its statistics over it")
    if getattr(layer, "renorm", False):
        view.freeze_other_axes((), "renormalises (renorm=True)")
        return [view.inputs[0]]
    labels = view.inputs[0].get(axis)
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        variable = getattr(layer, name, None)
        if variable is not None:
            view.bind(variable, 0, labels)
    view.count_elements(view.inputs[0], view.output_shapes[0], 2)
    return [view.inputs[0]]


@row(layers.LayerNormalization)
def layer_normalization(view: CallView):
    _scaled(view, view.layer.gamma, view.layer.beta)
    return [view.inputs[0]]


@row(layers.RMSNormalization)
def rms_normalization(view: CallView):
    _scaled(view, view.layer.scale)
    return [view.inputs[0]]


def _scaled(view: CallView, *variables) -> None:
    axes = view.layer.axis
    for position, axis in enumerate([axes] if isinstance(axes, int) else axes):
        labels = view.inputs[0].get(view.axis(axis))
        for variable in variables:
            if variable is not None:
                view.bind(variable, position, labels)
    view.count_elements(view.inputs[0], view.output_shapes[0], 8)


@row(layers.GroupNormalization)
def group_normalization(view: CallView):
    layer, axis = view.layer, view.axis(view.layer.axis)
    view.freeze_other_axes((axis,), "takes its statistics over it")
    labels = view.inputs[0].get(axis)
    # One group over all channels is a layer normalisation; several go whole.
    if labels is not None and layer.groups != 1:
        view.space.join_rows(labels.reshape(layer.groups, -1))
    for variable in (layer.gamma, layer.beta):
        if variable is not None:
            view.bind(variable, 0, labels)
    view.count_elements(view.inputs[0], view.output_shapes[0], 8)
    return [view.inputs[0]]


@row(layers.UnitNormalization)
def unit_normalization(view: CallView):
    view.count_elements(view.inputs[0], view.output_shapes[0], 3)
    return [view.inputs[0]]


@operation("LayerScale")
def layer_scale(view: CallView):
    """A factor for each channel, in ConvNeXt."""
    view.bind(view.layer.gamma, 0, view.inputs[0].get(view.axis(-1)))
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [view.inputs[0]]


@row(layers.Rescaling)
def rescaling(view: CallView):
    if np.ndim(view.layer.scale) or np.ndim(view.layer.offset):
        view.freeze_other_axes((), "scales each of its channels by a fixed number")
    view.count_elements(view.inputs[0], view.output_shapes[0], 2)
    return [view.inputs[0]]


@row(layers.Normalization)
def normalization(view: CallView):
    layer = view.layer
    if layer.input_mean is not None and np.ndim(layer.input_mean) not in (0, len(layer.axis)):
        view.freeze_other_axes((), "normalises several axes by the statistics of some")
    for position, axis in enumerate(sorted(view.axis(axis) for axis in layer.axis)):
        labels = view.inputs[0].get(axis)
        if layer.input_mean is None:
            view.bind(layer.adapt_mean, position, labels)
            view.bind(layer.adapt_variance, position, labels)
        else:
            view.state(axis, labels)
    view.count_elements(view.inputs[0], view.output_shapes[0], 2)
    return [view.inputs[0]]
