"""What an error in each weight costs, measured on data: of the loss, and of a layer's result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.criteria.batches import batches, check_labels, flat_inputs, no_example
from keras_snare.criteria.coordinates import Coordinates
from keras_snare.criteria.gauss_newton import check_curvature, gauss_newton
from keras_snare.graph import Trace, trace

# Random signs on the outputs of each batch; the mean over batches is what counts.
_PROBES = 4
# Of a batch of images no more places are looked at.
_MOST_ROWS = 8192
# The second moments of more features would take more than half a gigabyte.
_MOST_FEATURES = 8192


@dataclass(frozen=True, eq=False)
class Moments:
    """What a layer reads.

    Args:
        bias: int or None, the id of the layer's bias.
        matrix: mean of the products of every two features; of a layer with a bias there is one
            feature more, the last, which is 1.
    """

    bias: int | None
    matrix: np.ndarray


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a model's variables, by their id.

    Args:
        curvature: the second derivative of the mean loss by each number.
        moments: of the kernels of dense and convolutional layers.
    """

    curvature: dict[int, np.ndarray]
    moments: dict[int, Moments]


def evidence(model, data: Any, batch_size: int) -> Evidence:
    """Measures a compiled model on labelled data, in inference mode.

    Raises:
        ValueError: when there are no data, or not such as the model takes.
        UnsupportedModelError: when the loss ties examples together.
    """
    graph = trace(model)
    variables = [
        one for one in model.weights if keras.backend.is_float_dtype(one.dtype) and one.shape
    ]
    sums = {id(one): np.zeros(tuple(one.shape)) for one in variables}
    readers = _readers(graph)
    moments: dict[int, Any] = {key: 0.0 for key, _, _ in readers.values()}
    run = _curvature(model, graph, variables)
    count = 0
    for number, (x, y) in enumerate(batches(data, batch_size)):
        inputs = flat_inputs(graph, x)
        check_labels(y, True)
        size = int(inputs[0].shape[0])
        for key, found in run(inputs, y, number).items():
            sums[key] += size * found
        for key, found in _moments(graph, readers, inputs).items():
            moments[key] = moments[key] + size * found
        count += size
    if not count:
        raise no_example()
    return Evidence(
        {key: total / count for key, total in sums.items()},
        {key: Moments(bias, moments[key] / count) for key, bias, _ in readers.values()},
    )


def _curvature(model, graph: Trace, variables: list[Any]) -> Callable[..., dict[int, Any]]:
    import tensorflow as tf

    shapes = [tuple(one.shape) for one in variables]
    coordinates = Coordinates(variables, shapes, lambda change: change, lambda slopes: slopes)
    measured = tf.function(gauss_newton(model, graph, coordinates, _PROBES), reduce_retracing=True)

    def run(inputs, targets, number):
        _, found, checks = measured(inputs, targets, 0, tf.constant(number, "int64"))
        check_curvature(float(checks[0]), int(checks[1]))
        pairs = zip(variables, found, strict=True)
        return {id(one): keras.ops.convert_to_numpy(value) for one, value in pairs}

    return run


def _readers(graph: Trace) -> dict[int, tuple[int, int | None, Callable]]:
    """By id of a layer: ids of its kernel and bias, and what makes rows of its input."""
    found = {}
    for call in graph.calls:
        layer = call.operation
        rows = _rows_of(layer)
        # Of a layer with LoRA matrices the kernel is a sum, and no variable.
        if rows is None or not isinstance(layer.kernel, keras.Variable):
            continue
        if np.prod(layer.kernel.shape[:-1]) > _MOST_FEATURES:
            continue
        bias = None if layer.bias is None else id(layer.bias)
        found[id(layer)] = id(layer.kernel), bias, rows
    return found


def _rows_of(layer: Any) -> Callable | None:
    if type(layer) is keras.layers.Dense:
        return lambda value: keras.ops.reshape(value, (-1, value.shape[-1]))
    if type(layer) not in (keras.layers.Conv1D, keras.layers.Conv2D):
        return None
    if layer.data_format != "channels_last" or layer.groups != 1 or layer.padding == "causal":
        return None
    line = type(layer) is keras.layers.Conv1D
    first = (1,) if line else ()

    def rows(value):
        found = keras.ops.image.extract_patches(
            value[:, None] if line else value,
            (*first, *layer.kernel_size),
            strides=(*first, *layer.strides),
            dilation_rate=(*first, *layer.dilation_rate),
            padding=layer.padding,
            data_format="channels_last",
        )
        return keras.ops.reshape(found, (-1, found.shape[-1]))

    return rows


def _moments(graph: Trace, readers: dict[int, Any], inputs: list[Any]) -> dict[int, np.ndarray]:
    found: dict[int, list[np.ndarray]] = {}

    def read(call, key, value):
        if id(call.operation) in readers:
            kernel, bias, rows_of = readers[id(call.operation)]
            rows = keras.ops.convert_to_numpy(rows_of(keras.ops.cast(value, "float32")))
            rows = rows[:: -(-len(rows) // _MOST_ROWS)].astype("float64")
            if bias is not None:
                rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
            found.setdefault(kernel, []).append(rows.T @ rows / len(rows))
        return value

    graph.run(inputs, read)
    return {key: np.mean(some, axis=0) for key, some in found.items()}
