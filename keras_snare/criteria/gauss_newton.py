"""Second derivatives of the mean loss without those of the network: the Gauss-Newton diagonal."""

from collections.abc import Callable
from typing import Any

import keras

from keras_snare.criteria.coordinates import Coordinates, loss_slopes
from keras_snare.criteria.free_outputs import FreeOutputs
from keras_snare.criteria.losses import mean_loss
from keras_snare.criteria.output_curvature import MOST, OutputCurvature
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Trace

_TIED = 1e-3


def gauss_newton(
    model: keras.Model, graph: Trace, coordinates: Coordinates, probes: int | None
) -> Callable[..., tuple[list[Any], list[Any], Any]]:
    """Returns a function of `(inputs, targets, seed, number, sample_weight=None)`, for a batch.

    It returns the first derivative of the mean loss by the coordinates; the diagonal of JᵀHJ, with
    J the derivative of the free numbers and H the second derivative of the mean loss by them,
    without what is negative in it; and what `check_curvature` takes.
    """
    import tensorflow as tf

    weights = [variable.value for variable in coordinates.variables]
    ends = FreeOutputs(graph)
    zero = tf.UnconnectedGradients.ZERO

    def run(inputs, targets, seed, number, sample_weight=None):
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(weights)
            with _still(model):
                outputs = graph.run(inputs, lambda call, key, value: value)
                free = ends.free(outputs)

        def loss(numbers):
            with _still(model):
                answers = ends.bound(numbers, outputs)
                return mean_loss(model, targets, answers, sample_weight=sample_weight)

        curvature = OutputCurvature(loss, free)
        draws = _Draws([tf.size(one) for one in free], probes, (seed, number * 2**32))

        def add(at, totals):
            changes = curvature.times(draws.probe(at))
            found = tape.gradient(free, weights, changes, unconnected_gradients=zero)
            found = coordinates.gather([tf.convert_to_tensor(one) for one in found])
            squares = [tf.square(tf.cast(one, "float32")) for one in found]
            return at + 1, [total + one for total, one in zip(totals, squares, strict=True)]

        start = tf.constant(0, "int64"), [tf.zeros(shape) for shape in coordinates.shapes]
        _, totals = tf.while_loop(lambda at, _: at < draws.count, add, start, parallel_iterations=1)
        slopes = coordinates.gather(loss_slopes(model, graph, weights, inputs, targets))
        return (
            slopes,
            [total / draws.share for total in totals],
            (curvature.tied, curvature.entries),
        )

    return run


class _Draws:
    """Random signs on all outputs of a batch; or each output by itself, where these are no more.

    Args:
        sizes: of the outputs.
        probes: int, or None for each by itself.
        seed: two integers.
    """

    def __init__(self, sizes: list[Any], probes: int | None, seed: tuple) -> None:
        import tensorflow as tf

        self._sizes, self._seed = sizes, seed
        self._total = tf.add_n([tf.cast(one, "int64") for one in sizes])
        self._shape = tf.reshape(self._total, [1])
        self.count = self._total if probes is None else tf.minimum(self._total, probes)
        self._each = self.count == self._total
        self.share = tf.where(self._each, 1.0, tf.cast(self.count, "float32"))

    def probe(self, at) -> list[Any]:
        """Returns a flat vector for each output."""
        import tensorflow as tf

        first, second = self._seed
        draw = tf.random.stateless_uniform(self._shape, (first, second + at))
        one = tf.one_hot(at, tf.cast(self._total, "int32"), dtype="float32")
        chosen = tf.where(self._each, one, tf.where(draw < 0.5, -1.0, 1.0))
        return tf.split(chosen, self._sizes, num=len(self._sizes))


def _still(model: keras.Model) -> keras.StatelessScope:
    """What layers and losses note of their calls does not stay with the model."""
    return keras.StatelessScope([(variable, variable.value) for variable in model.variables])


def check_curvature(tied: float, entries: int) -> None:
    """Checks that the second derivatives by the outputs could be taken.

    Args:
        tied: share of them that belongs to two examples, positions or outputs.
        entries: how many there are of matrices of an unknown kind.

    Raises:
        UnsupportedModelError: when the loss ties examples, positions or outputs together.
        ValueError: when there are more than fit into memory.
    """
    if tied > _TIED:
        raise UnsupportedModelError(
            "curvature='gauss_newton' needs a loss that is a sum over examples, positions and "
            f"outputs. Received: one that ties {100 * tied:.1f} % of them together. Give "
            "curvature='hessian'."
        )
    if entries > MOST:
        raise ValueError(
            "curvature='gauss_newton' holds, for a loss that is neither a cross-entropy nor one "
            "by single numbers, a matrix for every example and position of a batch: at most "
            f"{MOST:,} numbers. Received: {entries:,}. Give smaller batches, if that is enough, or "
            "curvature='hessian'."
        )
