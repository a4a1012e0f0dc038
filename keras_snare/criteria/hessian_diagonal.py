"""Second derivatives of the mean loss by products of the Hessian with vectors."""

from collections.abc import Callable
from math import prod
from typing import Any

import keras

from keras_snare.criteria.coordinates import Coordinates, loss_slopes
from keras_snare.graph import Trace


def hessian_diagonal(
    model: keras.Model, graph: Trace, coordinates: Coordinates, probes: int | None
) -> Callable[..., tuple[list[Any], list[Any], Any]]:
    """Returns a function of `(inputs, targets, seed, number)`, for a batch.

    It returns the first derivative of the mean loss by the coordinates, the diagonal of the second
    one, and zeros.
    """
    import tensorflow as tf

    weights = [variable.value for variable in coordinates.variables]
    sizes = [prod(shape) for shape in coordinates.shapes]
    zero = tf.UnconnectedGradients.ZERO
    if probes is not None and probes >= sum(sizes):
        probes = None

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
            slopes = loss_slopes(model, graph, weights, inputs, targets)

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
        return split(flat(slopes)), split(total / (probes or 1)), (tf.zeros(()), tf.zeros(()))

    return run
