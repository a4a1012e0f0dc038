"""Layers and functions that bring tensors together."""

import keras
import numpy as np

from keras_snare.graph.channels import AxisLabels, join_axes
from keras_snare.graph.rules.operands import Operand, operands
from keras_snare.graph.rules.table import operation, row
from keras_snare.graph.view import CallView

layers = keras.layers


@row(
    layers.Add,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
)
def merge(view: CallView):
    found = operands(view)
    axes = join_axes(view.space, [(one.shape, one.axes) for one in found], view.name)
    view.count_elements(axes, view.output_shapes[0], len(found) - 1)
    return [axes]


@operation(
    *"""add arctan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
    divide divide_no_nan equal floor_divide fmax fmin fmod gcd greater greater_equal
    heaviside hypot isclose lcm ldexp left_shift less less_equal logaddexp logaddexp2 logical_and
    logical_or logical_xor maximum minimum mod multiply nextafter not_equal power right_shift
    subtract true_divide where""".split()
)
def elementwise(view: CallView):
    found = operands(view)
    axes = join_axes(view.space, [(one.shape, one.axes) for one in found], view.name)
    view.count_elements(axes, view.output_shapes[0], max(len(found) - 1, 1))
    return [axes]


@operation("CustomScaleLayer")
def scaled_sum(view: CallView):
    """One tensor and a multiple of another, in InceptionResNetV2."""
    return merge(view)


@row(layers.Concatenate)
def concatenate(view: CallView):
    return [concatenated(view, operands(view), view.axis(view.layer.axis))]


@operation("concatenate")
def concatenate_function(view: CallView):
    return [concatenated(view, operands(view), view.axis(view.layer.axis))]


def concatenated(view: CallView, found: list[Operand], axis: int) -> AxisLabels:
    """Labels of tensors that are strung together along an axis."""
    others = [
        (one.shape, {at: labels for at, labels in one.axes.items() if at != axis}) for one in found
    ]
    joined = join_axes(view.space, others, view.name)
    along = [one.axes.get(axis) for one in found]
    if any(labels is not None for labels in along):
        reason = f"{view.name} concatenates it with a tensor of fixed width"
        sizes = [one.shape[axis] for one in found]
        if any(size is None for size in sizes):
            view.space.freeze_all(
                {at: labels for at, labels in enumerate(along) if labels is not None}, reason
            )
            return joined
        joined[axis] = np.concatenate(
            [
                view.space.fixed(size, reason) if labels is None else labels
                for size, labels in zip(sizes, along, strict=True)
            ]
        )
    return joined


@operation("stack")
def stack(view: CallView):
    found = operands(view)
    place = view.layer.axis % len(view.output_shapes[0])
    joined = join_axes(view.space, [(one.shape, one.axes) for one in found], view.name)
    return [{axis + (axis >= place): labels for axis, labels in joined.items()}]
