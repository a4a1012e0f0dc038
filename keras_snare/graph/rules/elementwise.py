"""Layers that compute every element from that element alone."""

import keras

from keras_snare.graph.rules.activation import activated
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import CallView

layers = keras.layers


@row(
    layers.ActivityRegularization,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
def unchanged(view: CallView):
    return [view.inputs[0]]


@row(layers.Dropout, layers.AlphaDropout)
def dropout(view: CallView):
    for axis, size in enumerate(view.layer.noise_shape or ()):
        if axis > 0 and size not in (None, 1):
            view.state(axis, view.inputs[0].get(axis))
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
    if view.inputs[1:]:
        view.freeze_other_axes((), "is given a mask of fixed width")
    for normalized in axis if isinstance(axis, (list, tuple)) else [axis]:
        labels = view.inputs[0].get(view.axis(normalized))
        if labels is not None:
            view.space.freeze(labels, f"{view.name} normalises over it")
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [view.inputs[0]]


@row(layers.PReLU)
def parametric_relu(view: CallView):
    shared = view.layer.shared_axes or ()
    for axis in range(1, len(view.input_shapes[0])):
        if axis not in shared:
            view.bind(view.layer.alpha, axis - 1, view.inputs[0].get(axis))
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [view.inputs[0]]
