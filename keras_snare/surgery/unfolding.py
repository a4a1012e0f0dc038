"""What a dense layer or a convolution multiplies by its kernel, as the rows of matrices."""

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import keras
import numpy as np

layers = keras.layers
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
UNFOLDED = (layers.Dense, *CONVOLUTIONS)
# A window of nine taps makes nine numbers of one; this much of them is held at a time.
_BYTES = 2**25


def unfolded(layer: keras.layers.Layer, inputs: Any) -> Iterator[np.ndarray]:
    """Yields matrices whose product with `layer`'s kernel is what it computes, but for the bias.

    A few examples at a time, so that a convolution's windows are never all in memory.

    Args:
        layer: `Dense`, or a convolution without groups.
        inputs: tensor or array that the layer is called on.

    Yields:
        Array `(rows, taps * channels)`, float64, for the kernel as `(taps * channels, units)`.
    """
    values = keras.ops.convert_to_numpy(keras.ops.cast(inputs, "float32"))
    if not isinstance(layer, CONVOLUTIONS):
        yield values.reshape(-1, values.shape[-1]).astype("float64")
        return
    if layer.data_format == "channels_first":
        values = np.moveaxis(values, 1, -1)
    values, counts = _padded(layer, values)
    width = prod(layer.kernel_size) * values.shape[-1]
    each = max(1, _BYTES // (8 * prod(counts) * width))
    for start in range(0, len(values), each):
        taps = [values[start : start + each][window] for window in _windows(layer, counts)]
        yield np.stack(taps, axis=-2).reshape(-1, width).astype("float64")


def kernel_matrix(kernel: Any) -> np.ndarray:
    """Returns a kernel as `(taps * channels, units)`, float64."""
    values = keras.ops.convert_to_numpy(kernel)
    return values.reshape(-1, values.shape[-1]).astype("float64")


def _padded(layer: keras.layers.Layer, values: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The images with the zeros that the layer puts around them, and the positions per axis."""
    widths, counts = [(0, 0)], []
    sizes = zip(
        values.shape[1:-1], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    )
    for size, taps, stride, dilation in sizes:
        reach = dilation * (taps - 1)
        before = after = 0
        if layer.padding == "causal":
            before = reach
        elif layer.padding == "same":
            total = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
            before, after = total // 2, total - total // 2
        widths.append((before, after))
        counts.append((size + before + after - reach - 1) // stride + 1)
    return np.pad(values, [*widths, (0, 0)]), counts


def _windows(layer: keras.layers.Layer, counts: list[int]) -> Iterator[tuple[slice, ...]]:
    """For each tap of a kernel, where its inputs lie."""
    for tap in product(*map(range, layer.kernel_size)):
        steps = zip(tap, layer.dilation_rate, layer.strides, counts, strict=True)
        yield (
            slice(None),
            *(
                slice(at * dilation, at * dilation + (count - 1) * stride + 1, stride)
                for at, dilation, stride, count in steps
            ),
        )
