"""Layers that compute every element from that element alone."""

import keras

from keras_snare.graph.rules.activation import activated
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import CallView

layers = keras.layers


@row(
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
def unchanged(view: CallView):
    return [view.inputs[0]]


@row(layers.ReLU, layers.LeakyReLU, layers.ELU)
def activation_layer(view: CallView):
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [view.inputs[0]]


@row(layers.Activation)
def activation(view: CallView):
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [activated(view, view.layer.activation, view.inputs[0])]


@row(layers.Softmax)
def softmax(view: CallView):
    axis = view.layer.axis
    for normalized in axis if isinstance(axis, (list, tuple)) else [axis]:
        labels = view.inputs[0].get(view.axis(normalized))
        if labels is not None:
            view.space.freeze(labels, f"{view.name} normalises over it")
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [view.inputs[0]]


@row(layers.PReLU)
def parametric_relu(view: CallView):
    shared = view.layer.shared_axes or ()
    for axis, labels in view.inputs[0].items():
        if axis not in shared:
            view.bind(view.layer.alpha, axis - 1, labels)
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [view.inputs[0]]
