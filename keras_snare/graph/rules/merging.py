"""Layers that bring tensors together."""

import keras
import numpy as np

from keras_snare.graph.channels import join_axes
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import CallView


@row(keras.layers.Add)
def add(view: CallView):
    operands = zip(view.input_shapes, view.inputs, strict=True)
    axes = join_axes(view.space, operands, view.name)
    view.count_elements(axes, view.output_shapes[0], len(view.inputs) - 1)
    return [axes]


@row(keras.layers.Concatenate)
def concatenate(view: CallView):
    axis = view.axis(view.layer.axis)
    others = [
        (shape, {at: labels for at, labels in axes.items() if at != axis})
        for shape, axes in zip(view.input_shapes, view.inputs, strict=True)
    ]
    joined = join_axes(view.space, others, view.name)
    along = [axes.get(axis) for axes in view.inputs]
    if any(labels is not None for labels in along):
        reason = f"{view.name} concatenates it with a tensor of fixed width"
        sizes = [shape[axis] for shape in view.input_shapes]
        if any(size is None for size in sizes):
            view.space.freeze_all(
                {at: labels for at, labels in enumerate(along) if labels is not None}, reason
            )
            return [joined]
        joined[axis] = np.concatenate(
            [
                view.space.fixed(size, reason) if labels is None else labels
                for size, labels in zip(sizes, along, strict=True)
            ]
        )
    return [joined]
