"""Second derivatives of the mean loss: the diagonal of a Hessian, by products with vectors."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import is_whole
from keras_snare.criteria.batches import batches, check_labels, flat_inputs, no_example
from keras_snare.criteria.gradients import only_tensorflow
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Trace


@dataclass(frozen=True, eq=False)
class Coordinates:
    """What the loss is differentiated by: figures on which weights depend linearly.

    Args:
        variables: the weights.
        shapes: of the figures, which lie in one array or several.
        spread: takes a change of the figures, one tensor per shape, and returns the change of each
            variable.
        gather: takes the derivative by each variable, and returns the derivatives by the figures.
    """

    variables: list[Any]
    shapes: list[tuple[int, ...]]
    spread: Callable[[list[Any]], list[Any]]
    gather: Callable[[list[Any]], list[Any]]


def check_probes(probes: Any, seed: Any) -> None:
    """Checks what probes are made of.

    Raises:
        ValueError: when one of the two is out of range.
    """
    if probes is not None and (not is_whole(probes) or probes < 1):
        raise ValueError(
            "`probes` is an integer, 1 or more, or None for exact derivatives. Received: "
            f"probes={probes!r}. More probes take longer and give less noise."
        )
    if not is_whole(seed) or seed < 0:
        raise ValueError(f"The seed is an integer, 0 or more. Received: seed={seed!r}")


def diagonal_curvature(
    model,
    graph: Trace,
    variables: Iterable[Any],
    data: Any,
    probes: int | None = 64,
    batch_size: int = 128,
    seed: int = 0,
) -> list[np.ndarray]:
    """Returns the second derivative of the mean loss by each weight: the Hessian's diagonal.

    The loss is the compiled one, regularisation included, with the model in inference mode. With
    probes it is estimated without bias and without any assumption on layers or losses: the mean of
    v · Hv over vectors v of random signs. Its variance is, per batch, the sum of the squares of the
    other entries in the row of H, divided by the number of probes. Every batch has probes of its
    own, so that more batches give less noise, too.

    A product Hv takes about as long as a training step. There are `probes` of them per batch; or as
    many as there are weights, for exact derivatives, if those are asked for or if that is less.

    Args:
        model: a compiled model.
        graph: its graph.
        variables: the weights.
        data: `(x, y)` arrays, or an iterable of such batches.
        probes: int, products per batch; None for exact derivatives.
        batch_size: int, for arrays.
        seed: int, of the probes.

    Returns:
        One array per variable, of its shape.

    Raises:
        ValueError: when there is no example, no label, or an argument is out of range.
        UnsupportedModelError: when something in the model has no second derivative.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> graph = keras_snare.channel_groups(model).trace
    >>> data = np.array([[1.0, 2.0]]), np.array([[0.0]])
    >>> diagonal_curvature(model, graph, model.weights, data)[0].tolist()
    [[2.0], [8.0]]

    Reference:
        Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix for Laplacian
        Smoothing Splines", 1989; for the diagonal Bekas et al., "An Estimator for the Diagonal of a
        Matrix", 2007.
    """
    variables = list(variables)
    shapes = [tuple(variable.shape) for variable in variables]
    weights = Coordinates(variables, shapes, spread=list, gather=list)
    return derivatives(model, graph, weights, data, probes, batch_size, seed)[1]


def derivatives(
    model,
    graph: Trace,
    coordinates: Coordinates,
    data: Any,
    probes: int | None,
    batch_size: int,
    seed: int,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the first and the second derivative of the mean loss by each coordinate.

    Arguments, errors and costs are those of `diagonal_curvature`; the first derivative is exact.
    """
    check_probes(probes, seed)
    only_tensorflow("Second derivatives")
    first = [np.zeros(shape) for shape in coordinates.shapes]
    second = [np.zeros(shape) for shape in coordinates.shapes]
    if probes is not None and probes >= sum(map(prod, coordinates.shapes)):
        probes = None
    compiled, seen = {}, 0
    for number, (x, y) in enumerate(batches(data, batch_size)):
        inputs = flat_inputs(graph, x)
        check_labels(y, labelled=True)
        batch = inputs, keras.tree.map_structure(keras.ops.convert_to_tensor, y)
        draw = [keras.ops.convert_to_tensor(one, "int64") for one in (int(seed) % 2**63, number)]
        key = tuple(tuple(tensor.shape[1:]) for tensor in keras.tree.flatten(batch))
        with _explained():
            if key not in compiled:
                compiled[key] = _compiled(model, graph, coordinates, probes, batch)
            found = compiled[key](*batch, *draw)
        size = int(batch[0][0].shape[0])
        for totals, figures in zip((first, second), found, strict=True):
            for total, figure in zip(totals, figures, strict=True):
                total += size * keras.ops.convert_to_numpy(figure)
        seen += size
    if not seen:
        raise no_example()
    return [one / seen for one in first], [one / seen for one in second]


def _compiled(model, graph: Trace, coordinates: Coordinates, probes: int | None, batch: Any):
    """Returns the derivatives of a batch as a function of `(inputs, targets, seed, number)`."""
    import tensorflow as tf

    weights = [variable.value for variable in coordinates.variables]
    sizes = [prod(shape) for shape in coordinates.shapes]
    zero = tf.UnconnectedGradients.ZERO

    def split(flat):
        parts = zip(tf.split(flat, sizes), coordinates.shapes, strict=True)
        return [tf.reshape(part, shape) for part, shape in parts]

    def flat(by_weight):
        # Looking rows up in an embedding gives a sparse derivative.
        gathered = coordinates.gather([tf.convert_to_tensor(one) for one in by_weight])
        return tf.concat([tf.reshape(tf.cast(one, "float32"), [-1]) for one in gathered], axis=0)

    def probe(at, seed, number):
        if probes is None:
            return tf.one_hot(at, sum(sizes))
        draw = tf.random.stateless_uniform([sum(sizes)], (seed, number * probes + at))
        return tf.where(draw < 0.5, -1.0, 1.0)

    def run(inputs, targets, seed, number):
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(weights)
            slopes = _slopes(model, graph, weights, inputs, targets)

        def add(at, total):
            signs = probe(at, seed, number)
            spread = zip(coordinates.spread(split(signs)), weights, strict=True)
            change = [tf.cast(one, weight.dtype) for one, weight in spread]
            products = tape.gradient(slopes, weights, change, unconnected_gradients=zero)
            return at + 1, total + signs * flat(products)

        count = sum(sizes) if probes is None else probes
        limits = {"maximum_iterations": count, "parallel_iterations": 1}
        start = tf.constant(0, "int64"), tf.zeros([sum(sizes)])
        _, total = tf.while_loop(lambda at, total: at < count, add, start, **limits)
        return split(flat(slopes)), split(total / (probes or 1))

    if not model.run_eagerly:
        number = tf.TensorSpec([], "int64")
        signature = [*keras.tree.map_structure(_any_batch, list(batch)), number, number]
        run = tf.function(run, input_signature=signature, autograph=False).get_concrete_function()
    return run


def _slopes(model, graph: Trace, weights: list[Any], inputs: list[Any], targets: Any) -> list[Any]:
    """The derivative of a batch's mean loss by each of the weights."""
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        # What layers and losses note of their calls must not stay with the model.
        values = [(variable, variable.value) for variable in model.variables]
        with keras.StatelessScope(values, collect_losses=True):
            outputs = graph.run(inputs, lambda call, key, value: value)
            outputs = keras.tree.pack_sequence_as(graph.structure, outputs)
            loss = model.compute_loss(x=None, y=targets, y_pred=outputs, training=False)
    slopes = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(slope) for slope in slopes]


def _any_batch(tensor: Any) -> Any:
    import tensorflow as tf

    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        # Its children are raised for missing keys and the like.
        if type(error) is not LookupError:
            raise
        raise UnsupportedModelError(
            "Second derivatives of the loss need those of every operation in the model, and "
            f"TensorFlow lacks one ({error}). Choose a criterion on gradients, such as 'taylor', "
            "or on weights."
        ) from error
