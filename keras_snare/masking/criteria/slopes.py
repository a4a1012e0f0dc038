"""Derivatives of the mean loss over data, in training mode, for criteria of untrained networks."""

from typing import Any

import keras
import numpy as np

from keras_snare.criteria import batches
from keras_snare.masking.criteria.base import Measured, gradients
from keras_snare.masking.kernels import Kernel


def mean_gradients(
    model: keras.Model, kernels: list[Kernel], data: Any, batch_size: int = 128
) -> Measured:
    """Returns the derivative of the mean loss by kernels.

    Args:
        model: a compiled model; it is only read.
        kernels: what it is differentiated by.
        data: `(x, y)` arrays, or an iterable of such batches.
        batch_size: int, for arrays: examples whose statistics a normalisation takes together.

    Raises:
        ValueError: when there is no example.
    """

    def found(x, y):
        return gradients(model, kernels, x, y, training=True)

    return _mean(found, kernels, data, batch_size)


def curvature_along(
    model: keras.Model, kernels: list[Kernel], direction: Measured, data: Any, batch_size: int = 128
) -> Measured:
    """Returns the Hessian of the mean loss times a vector.

    Arguments and errors are those of `mean_gradients`; `direction` is the vector, by kernel.
    """
    import tensorflow as tf

    watched = [one.variable.value for one in kernels]
    vector = [tf.cast(direction[one.name], one.variable.dtype) for one in kernels]

    def found(x, y):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            slopes = gradients(model, kernels, x, y, training=True)
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(slopes, watched, vector, unconnected_gradients=zero)

    return _mean(found, kernels, data, batch_size)


def _mean(found, kernels: list[Kernel], data: Any, batch_size: int) -> Measured:
    totals, seen = {one.name: np.zeros(one.shape) for one in kernels}, 0
    for x, y in batches(data, batch_size):
        size = len(keras.tree.flatten(x)[0])
        for kernel, figures in zip(kernels, found(x, y), strict=True):
            figures = keras.ops.convert_to_tensor(figures)
            totals[kernel.name] += size * keras.ops.convert_to_numpy(figures)
        seen += size
    if not seen:
        raise ValueError("The data for the criterion hold no example. Give at least one.")
    return {name: total / seen for name, total in totals.items()}
