"""What an error in each weight costs, measured on data: of the loss, and of a layer's result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.codec.target import labels_that_suit
from keras_snare.criteria.batches import check_labels, flat_inputs, no_example, weighted_batches
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


def evidence(model: keras.Model, data: Any, batch_size: int) -> Evidence:
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
    for number, (x, y, weights) in enumerate(weighted_batches(data, batch_size)):
        inputs = flat_inputs(graph, x)
        check_labels(y, True)
        _check_finite(inputs)
        size = int(inputs[0].shape[0])
        for key, found in run(inputs, y, number, weights).items():
            sums[key] += size * found
        some = _Rows(number, _by_example(weights, size))
        for key, found in _moments(graph, readers, inputs, some).items():
            moments[key] = moments[key] + size * found
        count += size
    if not count:
        raise no_example()
    return Evidence(
        {key: total / count for key, total in sums.items()},
        {key: Moments(bias, moments[key] / count) for key, bias, _ in readers.values()},
    )


def _curvature(
    model: keras.Model, graph: Trace, variables: list[Any]
) -> Callable[..., dict[int, Any]]:
    import tensorflow as tf

    shapes = [tuple(one.shape) for one in variables]
    coordinates = Coordinates(variables, shapes, lambda change: change, lambda slopes: slopes)
    measured = tf.function(gauss_newton(model, graph, coordinates, _PROBES), reduce_retracing=True)

    def run(inputs, targets, number, weights):
        with labels_that_suit(model):
            _, found, checks = measured(
                inputs, targets, 0, tf.constant(number, "int64"), sample_weight=weights
            )
        check_curvature(float(checks[0]), int(checks[1]))
        found = [keras.ops.convert_to_numpy(one) for one in found]
        if not all(np.isfinite(one).all() for one in found):
            raise ValueError(
                f"Expected `data` on which the loss of {model.name!r} is finite. Received: a batch "
                "on which it, or its derivatives, are not. Look for weights that are not finite, "
                "and for labels out of range; or leave out `data`."
            )
        return {id(one): value for one, value in zip(variables, found, strict=True)}

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


class _Rows:
    """Which rows of what a layer reads are looked at, and what each of them weighs.

    Args:
        number: int, of the batch; the same rows are chosen on each run.
        weights: of the examples, or None.
    """

    def __init__(self, number: int, weights: np.ndarray | None) -> None:
        self._random, self._weights = np.random.default_rng(number), weights

    def moments(self, rows: np.ndarray, bias: bool) -> np.ndarray:
        """Returns the mean of the products of every two features, and of a 1 behind them."""
        weights = np.ones(len(rows))
        if self._weights is not None and len(rows) % len(self._weights) == 0:
            weights = np.repeat(self._weights, len(rows) // len(self._weights))
        if len(rows) > _MOST_ROWS:
            # By chance: at even distances they would come from few columns of a picture.
            chosen = np.sort(self._random.choice(len(rows), _MOST_ROWS, replace=False))
            rows, weights = rows[chosen], weights[chosen]
        rows = rows.astype("float64")
        if bias:
            rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
        return rows.T @ (weights[:, None] * rows) / len(rows)


def _by_example(weights: Any, size: int) -> np.ndarray | None:
    """One weight for each example: the mean, where there are several outputs or positions."""
    found = [np.asarray(one, "float64") for one in keras.tree.flatten(weights) if one is not None]
    return np.mean([one.reshape(size, -1).mean(axis=1) for one in found], axis=0) if found else None


def _moments(
    graph: Trace, readers: dict[int, Any], inputs: list[Any], some: _Rows
) -> dict[int, np.ndarray]:
    found: dict[int, list[np.ndarray]] = {}

    def read(call, key, value):
        if id(call.operation) in readers:
            kernel, bias, rows_of = readers[id(call.operation)]
            rows = keras.ops.convert_to_numpy(rows_of(keras.ops.cast(value, "float32")))
            found.setdefault(kernel, []).append(some.moments(rows, bias is not None))
        return value

    graph.run(inputs, read)
    return {key: np.mean(parts, axis=0) for key, parts in found.items()}


def _check_finite(inputs: list[Any]) -> None:
    for one in map(keras.ops.convert_to_numpy, inputs):
        if one.dtype.kind not in "biuSUO" and not np.isfinite(one.astype("float64")).all():
            raise ValueError(
                "Expected `data` of finite numbers. Received: a batch with NaN or infinity among "
                "the inputs. Leave these examples out."
            )
