"""Layers and functions that state a shape, or where to divide one."""

import keras
import numpy as np

from keras_snare.graph.rules.axes import indexed_axes
from keras_snare.surgery.attributes.table import arguments, row

layers = keras.layers


def _restated(stated: tuple, now: tuple) -> tuple:
    return tuple(-1 if size == -1 else one for size, one in zip(stated, now, strict=True))


@row(("target_shape",), layers.Reshape)
def reshape(resized):
    return {"target_shape": _restated(resized.layer.target_shape, resized.output_shapes[0][1:])}


@row(("newshape",), "reshape")
def reshape_function(resized):
    return {"newshape": _restated(resized.layer.newshape, resized.output_shapes[0])}


@row(("axis",), "squeeze")
def squeeze(resized):
    """Which axes go is settled before one of them may become single."""
    shape = resized.sized.inputs[0][0]
    single = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return {"axis": single if resized.layer.axis is None else resized.layer.axis}


@row(("shape",), "broadcast_to")
def broadcast_to(resized):
    sizes = zip(resized.layer.shape, resized.output_shapes[0], strict=True)
    return {"shape": tuple(size if now is None else now for size, now in sizes)}


@row(("indices_or_sections",), "split", "array_split")
def split(resized):
    axis = resized.layer.axis
    widths = [shape[axis] for shape in resized.output_shapes]
    if resized.sized.inputs[0][1].get(axis % len(resized.input_shapes[0])) is None:
        return {}
    return {"indices_or_sections": tuple(int(end) for end in np.cumsum(widths)[:-1])}


@row(("noise_shape",), layers.Dropout, layers.AlphaDropout)
def dropout(resized):
    stated = resized.layer.noise_shape
    if stated is None:
        return {}
    sizes = zip(stated, resized.output_shapes[0], strict=True)
    return {"noise_shape": tuple(size if size in (None, 1) else now or size for size, now in sizes)}


@arguments("get_item")
def get_item(resized):
    """A slice of channels begins and ends at others when some are gone."""
    call, (shape, axes) = resized.sized.call, resized.sized.inputs[0]
    if not axes:
        return call.arguments.args, call.arguments.kwargs
    parts = []
    for axis, key in indexed_axes(call.named_arguments()["key"], len(shape)):
        if axis in axes and isinstance(key, slice) and key.step in (None, 1):
            stays = resized.stays(axes[axis])
            start, stop, _ = key.indices(len(stays))
            whole = (start, stop) == (0, len(stays))
            bounds = slice(int(stays[:start].sum()), int(stays[:stop].sum()))
            parts.append(slice(None) if whole else bounds)
        else:
            parts.append(key)
    tensor = call.arguments.keras_tensors[0]
    return (tensor, tuple(parts)), {}
