"""Which weights of a layer are rounded as kernels, and which of their axes are channels."""

from typing import Any

import keras

layers = keras.layers
Axes = tuple[int, ...]

# The name of a weight to the axes of which each place has steps of its own; none: one for all.
KERNELS: dict[type, dict[str, Axes]] = {
    layers.Dense: {"kernel": (-1,)},
    layers.Embedding: {"embeddings": ()},
    layers.Conv1D: {"kernel": (-1,)},
    layers.Conv2D: {"kernel": (-1,)},
    layers.Conv3D: {"kernel": (-1,)},
    layers.Conv1DTranspose: {"kernel": (-2,)},
    layers.Conv2DTranspose: {"kernel": (-2,)},
    layers.Conv3DTranspose: {"kernel": (-2,)},
    layers.DepthwiseConv1D: {"kernel": (-2, -1)},
    layers.DepthwiseConv2D: {"kernel": (-2, -1)},
    layers.SeparableConv1D: {"depthwise_kernel": (-2, -1), "pointwise_kernel": (-1,)},
    layers.SeparableConv2D: {"depthwise_kernel": (-2, -1), "pointwise_kernel": (-1,)},
    # LiteRT's operation wants them as they are.
    layers.PReLU: {},
}


def kernels_of(operation: Any) -> list[tuple[Any, Axes]]:
    """The weights that are rounded in training, each with its axes of channels.

    Of layers without a row, these are all weights of two axes or more, with one step each.
    """
    if not isinstance(operation, keras.layers.Layer):
        return []
    rows = [KERNELS[kind] for kind in type(operation).__mro__ if kind in KERNELS]
    if rows:
        return [(one, rows[0][one.name]) for one in operation.weights if one.name in rows[0]]
    return [(one, ()) for one in operation.weights if len(one.shape) > 1]
