"""Layers around layers: the rule of the inner layer, seen through the wrapper."""

import keras

from keras_snare.graph.channels import join_axes
from keras_snare.graph.rules.merging import concatenated
from keras_snare.graph.rules.operands import Operand
from keras_snare.graph.rules.recurrence import initial_states
from keras_snare.graph.rules.table import NOT_WRAPPED, row, rule_for
from keras_snare.graph.view import CallView

layers = keras.layers


def through(
    view: CallView,
    layer: keras.layers.Layer,
    inputs,
    input_shapes,
    output_shapes,
    name=None,
    shift=0,
):
    """Applies the rule of an inner layer, or lets the wrapper be a wall."""
    seen = view.inner(layer, inputs, input_shapes, output_shapes, name, shift)
    rule = rule_for(layer)
    if rule is None or type(layer) in NOT_WRAPPED:
        kind = type(layer).__name__
        seen.freeze_other_axes((), f"reads it, an operation without a rule ({kind})")
        return [{} for _ in output_shapes]
    return seen.done(rule(seen))


@row(layers.TimeDistributed)
def time_distributed(view: CallView):
    if 1 in view.inputs[0]:
        view.space.freeze(view.inputs[0][1], f"{view.name} runs along it")
    inputs = [{axis - 1: labels for axis, labels in view.inputs[0].items() if axis > 1}]
    frames = [[(shape[0], *shape[2:])] for shape in (view.input_shapes[0], view.output_shapes[0])]
    (axes,) = through(view, view.layer.layer, inputs, *frames, shift=1)
    return [{axis + 1: labels for axis, labels in axes.items()}]


@row(layers.SpectralNormalization)
def spectral_normalization(view: CallView):
    inner, vector = view.layer.layer, view.layer.vector_u
    found = through(view, inner, view.inputs, view.input_shapes, view.output_shapes)
    kernel = view.layer.kernel
    own = [one for one in view.bindings if one.variable is kernel]
    for binding in own:
        if binding.axis % len(kernel.shape) == len(kernel.shape) - 1:
            view.bind(vector, 1, binding.labels)
    return found


@row(layers.Bidirectional)
def bidirectional(view: CallView):
    layer = view.layer
    halves = []
    states = initial_states(view)
    for at, inner in enumerate((layer.forward_layer, layer.backward_layer)):
        given = states[at * len(states) // 2 : (at + 1) * len(states) // 2]
        inputs = [view.inputs[0], *(view.inputs[place] for place in given)]
        shapes = [view.input_shapes[0], *(view.input_shapes[place] for place in given)]
        made = _output_shapes(view, inner)
        name = ("forward", "backward")[at]
        halves.append(
            list(zip(made, through(view, inner, inputs, shapes, made, name), strict=True))
        )
    # Keras takes both directions to be equally wide.
    forward, backward = (half[0][1].get(len(half[0][0]) - 1) for half in halves)
    if forward is not None and backward is not None and len(forward) == len(backward):
        view.space.join(forward, backward)
    merged = _merged(view, [half[0] for half in halves])
    return [*merged, *(axes for half in halves for _, axes in half[1:])]


def _output_shapes(view: CallView, inner) -> list[tuple]:
    batch, steps = view.input_shapes[0][:2]
    width = inner.cell.units if hasattr(inner, "cell") else view.output_shapes[0][-1]
    count = 1 + (len(view.output_shapes) - 1) // 2 if view.layer.merge_mode else 0
    count = count or len(view.output_shapes) // 2
    first = (batch, steps, width) if inner.return_sequences else (batch, width)
    return [first, *[(batch, width)] * (count - 1)]


def _merged(view: CallView, tensors):
    mode = view.layer.merge_mode
    if mode is None:
        return [axes for _, axes in tensors]
    if mode == "concat":
        found = [Operand(shape, axes) for shape, axes in tensors]
        return [concatenated(view, found, len(view.output_shapes[0]) - 1)]
    return [join_axes(view.space, tensors, view.name)]
