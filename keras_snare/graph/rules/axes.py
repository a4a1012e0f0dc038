"""Layers and functions that turn, cut out or repeat axes."""

import keras
import numpy as np

from keras_snare.graph.channels import AxisLabels, Labels
from keras_snare.graph.rules.table import operation, row
from keras_snare.graph.view import CallView

layers = keras.layers


def _moved(axes: AxisLabels, order) -> AxisLabels:
    """Labels after the axes were put into another order: `order[new] = old`."""
    return {new: axes[old] for new, old in enumerate(order) if old in axes}


@row(layers.Permute)
def permute(view: CallView):
    return [_moved(view.inputs[0], (0, *view.layer.dims))]


@operation("transpose")
def transpose(view: CallView):
    ndim = len(view.input_shapes[0])
    order = view.layer.axes or range(ndim)[::-1]
    return [_moved(view.inputs[0], [axis % ndim for axis in order])]


@operation("swapaxes")
def swap_axes(view: CallView):
    order = list(range(len(view.input_shapes[0])))
    one, other = view.axis(view.layer.axis1), view.axis(view.layer.axis2)
    order[one], order[other] = other, one
    return [_moved(view.inputs[0], order)]


@operation("moveaxis")
def move_axis(view: CallView):
    source, destination = (
        [view.axis(axis) for axis in ([one] if isinstance(one, int) else one)]
        for one in (view.layer.source, view.layer.destination)
    )
    order = [axis for axis in range(len(view.input_shapes[0])) if axis not in source]
    for place, axis in sorted(zip(destination, source, strict=True)):
        order.insert(place, axis)
    return [_moved(view.inputs[0], order)]


@operation("expand_dims")
def expand_dims(view: CallView):
    ndim = len(view.output_shapes[0])
    new = view.layer.axis
    new = {axis % ndim for axis in ([new] if isinstance(new, int) else new)}
    old = iter(range(ndim))
    return [_moved(view.inputs[0], [-1 if axis in new else next(old) for axis in range(ndim)])]


@operation("squeeze")
def squeeze(view: CallView):
    shape, gone = view.input_shapes[0], view.layer.axis
    if gone is None:
        gone = [axis for axis, size in enumerate(shape) if size == 1]
    gone = {view.axis(axis) for axis in ([gone] if isinstance(gone, int) else gone)}
    for axis in gone & view.inputs[0].keys():
        view.space.freeze(view.inputs[0][axis], f"{view.name} drops its axis")
    if view.layer.axis is None:
        for axis, labels in view.inputs[0].items():
            view.state(axis, labels)
    order = [axis for axis in range(len(shape)) if axis not in gone]
    return [_moved(view.inputs[0], order)]


@row(layers.RepeatVector)
def repeat_vector(view: CallView):
    return [_moved(view.inputs[0], (0, -1, 1))]


@operation("repeat")
def repeat(view: CallView):
    axis, times = view.layer.axis, view.layer.repeats
    if axis is None or not isinstance(times, int):
        view.freeze_other_axes((), "repeats some of its elements")
        return [{}]
    labels = dict(view.inputs[0])
    if view.axis(axis) in labels:
        labels[view.axis(axis)] = np.repeat(labels[view.axis(axis)], times)
    return [labels]


@operation("tile")
def tile(view: CallView):
    times = view.layer.repeats
    times = (times,) if isinstance(times, int) else tuple(times)
    ndim = len(view.output_shapes[0])
    times = (*(1,) * (ndim - len(times)), *times)
    new = ndim - len(view.input_shapes[0])
    return [{axis + new: np.tile(one, times[axis + new]) for axis, one in view.inputs[0].items()}]


@operation("flip")
def flip(view: CallView):
    axes = view.layer.axis
    ndim = len(view.input_shapes[0])
    turned = range(ndim) if axes is None else [axes] if isinstance(axes, int) else axes
    turned = {axis % ndim for axis in turned}
    return [{axis: one[::-1] if axis in turned else one for axis, one in view.inputs[0].items()}]


@operation("pad")
def pad(view: CallView):
    widths = view.layer.pad_width
    for axis, labels in view.inputs[0].items():
        if any(np.broadcast_to(widths, (len(view.input_shapes[0]), 2))[axis]):
            view.space.freeze(labels, f"{view.name} pads it")
    return [view.inputs[0]]


@operation("broadcast_to")
def broadcast_to(view: CallView):
    before, after = view.input_shapes[0], view.output_shapes[0]
    new = len(after) - len(before)
    axes = {}
    for axis, labels in view.inputs[0].items():
        if before[axis] != after[axis + new]:
            view.space.freeze(labels, f"{view.name} spreads it over an axis")
        axes[axis + new] = labels
    for axis, size in enumerate(after):
        if size is not None:
            view.state(axis, axes.get(axis))
    return [axes]


@operation("split", "array_split")
def split(view: CallView):
    axis, sections = view.axis(view.layer.axis), view.layer.indices_or_sections
    others = {at: labels for at, labels in view.inputs[0].items() if at != axis}
    labels = view.inputs[0].get(axis)
    if labels is None:
        return [others for _ in view.output_shapes]
    parts = np.array_split(labels, sections if isinstance(sections, int) else list(sections))
    if not view.recorded and isinstance(sections, int) and len({len(one) for one in parts}) == 1:
        # The code divides into equal parts, whatever it is given.
        view.space.join_rows(np.stack(parts, axis=1))
    else:
        view.state(axis, labels)
    return [{**others, axis: part} for part in parts]


@operation("unstack")
def unstack(view: CallView):
    axis = view.axis(view.layer.axis)
    if axis in view.inputs[0]:
        view.space.freeze(view.inputs[0][axis], f"{view.name} takes it apart")
    order = [at for at in range(len(view.input_shapes[0])) if at != axis]
    return [_moved(view.inputs[0], order) for _ in view.output_shapes]


@operation("get_item")
def get_item(view: CallView):
    keys = indexed_axes(view.arguments()["key"], len(view.input_shapes[0]))
    result: AxisLabels = {}
    new = 0
    for axis, key in keys:
        labels = None if axis is None else view.inputs[0].get(axis)
        if labels is not None:
            labels = _selected(view, labels, key)
        if labels is not None:
            result[new] = labels
        new += not isinstance(key, (int, np.integer))
    return [result]


def _selected(view: CallView, labels: Labels, key) -> Labels | None:
    if isinstance(key, slice) and key.step in (None, 1):
        if len(labels[key]) < len(labels):
            view.state(0, labels)
        return labels[key]
    view.space.freeze(labels, f"{view.name} picks some of it")
    return labels[key] if isinstance(key, slice) else None


def indexed_axes(key, ndim: int) -> list[tuple[int | None, object]]:
    """Returns, for each part of an index, the axis that it indexes (None for a new axis)."""
    parts = list(key) if isinstance(key, (tuple, list)) else [key]
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    taken = sum(part is not Ellipsis and part is not None for part in parts)
    found, axis = [], 0
    for part in parts:
        if part is None:
            found.append((None, None))
        elif part is Ellipsis:
            found += [(axis + at, slice(None)) for at in range(ndim - taken)]
            axis += ndim - taken
        else:
            found.append((axis, part))
            axis += 1
    return found
