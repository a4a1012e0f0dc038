"""The cosine transform of kernels inside the compiled training step."""

from math import prod
from typing import Any

import numpy as np
from keras import ops

from keras_snare.layers.cosines import Grid
from keras_snare.layers.cosines import cosines as cosines_of


def spectrum(values: Any, grid: Grid) -> Any:
    """Returns the coefficients of a tensor whose first axis is a grid that was flattened.

    Args:
        values: tensor of `(features, ...)`.
        grid: `(length,)`, `(height, width)` or `(height, width, channels)`; along the channels
            nothing is transformed.
    """
    return _transformed(values, grid, inverse=False)


def values_of(coefficients: Any, grid: Grid) -> Any:
    """Returns the values of which `spectrum` made the coefficients."""
    return _transformed(coefficients, grid, inverse=True)


def _transformed(tensor: Any, grid: Grid, inverse: bool) -> Any:
    found = tensor
    for axis, length in enumerate(grid[:2]):
        basis = cosines_of(length).astype(np.float32)
        # Products of matrices in their places: nothing is transposed.
        found = ops.reshape(found, (prod(grid[:axis]), length, -1))
        found = ops.matmul(basis if inverse else basis.T, found)
    return ops.reshape(found, tensor.shape)
