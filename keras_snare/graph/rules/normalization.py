"""Normalisations: their parameters are cut with the channels that they scale."""

import keras

from keras_snare.graph.rules.table import row
from keras_snare.graph.view import CallView


@row(keras.layers.BatchNormalization)
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


@row(keras.layers.LayerNormalization)
def layer_normalization(view: CallView):
    axes = view.layer.axis
    for position, axis in enumerate([axes] if isinstance(axes, int) else axes):
        labels = view.inputs[0].get(view.axis(axis))
        for variable in (view.layer.gamma, view.layer.beta):
            if variable is not None:
                view.bind(variable, position, labels)
    view.count_elements(view.inputs[0], view.output_shapes[0], 8)
    return [view.inputs[0]]
