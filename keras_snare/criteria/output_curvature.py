"""Roots of the second derivative of a loss by a model's outputs, example by example."""

from collections.abc import Callable
from typing import Any

# Entries of the matrices that are held where nothing is known of them.
MOST = 2**27
# Shares of the sum of absolute values.
_EQUAL = 1e-4
_LEAST = 1e-6


class OutputCurvature:
    """The second derivative H of a loss by free numbers, as S with SSᵀ = H.

    One matrix for each row, of which the last axis of an output is one. That of a loss by single
    numbers is diagonal, and that of a cross-entropy is c · (diag(p) - ppᵀ), with p the softmax of
    the row: both are recognised, and their roots are known. Of others the whole matrices are taken,
    and what is negative in them is left out.

    Args:
        loss: function of a list of free numbers.
        free: one tensor for each output.

    Attributes:
        tied: scalar, the share of H that belongs to two rows, or two outputs.
        entries: scalar, how many numbers the matrices would have that are more than `MOST`; they
            are taken for zeros then.
    """

    def __init__(self, loss: Callable, free: list[Any]) -> None:
        import tensorflow as tf

        zero = tf.UnconnectedGradients.ZERO
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(free)
            with tf.GradientTape() as inner:
                inner.watch(free)
                value = loss(free)
            slopes = inner.gradient(value, free, unconnected_gradients=zero)
            slopes = [tf.convert_to_tensor(one) for one in slopes]

        def product(at: int, rows) -> tuple[Any, Any]:
            change = tf.reshape(rows, tf.shape(free[at]))
            found = outer.gradient([slopes[at]], free, [change], unconnected_gradients=zero)
            found = [tf.convert_to_tensor(one) for one in found]
            others = [tf.reduce_sum(tf.abs(one)) for i, one in enumerate(found) if i != at]
            return tf.reshape(found[at], tf.shape(rows)), sum(others, tf.constant(0.0))

        self._shapes = [tf.shape(one) for one in free]
        self._parts = [
            _Part(lambda rows, at=at: product(at, rows), _rows(one)) for at, one in enumerate(free)
        ]
        self.tied = tf.reduce_max([one.tied for one in self._parts])
        self.entries = tf.reduce_max([one.entries for one in self._parts])

    def times(self, vectors: list[Any]) -> list[Any]:
        """Multiplies S with a flat vector for each output; returns the shapes of these."""
        import tensorflow as tf

        pairs = zip(self._parts, vectors, self._shapes, strict=True)
        return [tf.reshape(part.times(one), shape) for part, one, shape in pairs]


def _rows(free):
    import tensorflow as tf

    return tf.reshape(free, [-1, 1] if len(free.shape) < 2 else [-1, tf.shape(free)[-1]])


class _Part:
    """The same of one output.

    Args:
        product: takes rows, and returns H times them, and the sum of what lands on other outputs.
        rows: the free numbers.
    """

    def __init__(self, product: Callable, rows: Any) -> None:
        import tensorflow as tf

        shape = tf.shape(rows)
        some = tf.random.stateless_normal(shape, (0, 0))
        even = (tf.range(shape[0]) % 2 == 0)[:, None]
        first, leak = product(tf.where(even, some, 0.0))
        second, other = product(tf.where(even, 0.0, some))
        # Nothing but zeros, unless one row of the loss has to do with another.
        apart = tf.reduce_sum(tf.abs(tf.where(even, second, first))) + leak + other
        whole = tf.where(even, first, second)
        size = tf.reduce_sum(tf.abs(whole))
        self.tied = tf.math.divide_no_nan(apart, apart + size)

        self._diagonal, _ = product(tf.ones(shape))
        self._shares = tf.nn.softmax(rows)
        base = self._shares * (some - tf.reduce_sum(self._shares * some, -1, keepdims=True))
        self._factor = _factors(whole, base)
        is_diagonal = _equal(whole, self._diagonal * some)
        is_softmax = _equal(whole, self._factor * base)
        self._kind = tf.where(is_diagonal, 0, tf.where(is_softmax, 1, 2))

        count = tf.reduce_prod(tf.cast(shape, "int64")) * tf.cast(shape[1], "int64")
        self.entries = tf.where(self._kind == 2, count, 0)
        small = tf.logical_and(self._kind == 2, count <= MOST)
        nothing = tf.zeros([0, 0, 0])
        self._root = tf.cond(small, lambda: _root(product, shape), lambda: nothing)

    def times(self, vector: Any) -> Any:
        """Multiplies S with a flat vector."""
        import tensorflow as tf

        rows = tf.reshape(vector, tf.shape(self._shares))

        def of_single_numbers():
            return tf.sqrt(tf.maximum(self._diagonal, 0.0)) * rows

        def of_shares():
            roots = tf.sqrt(self._shares)
            inside = tf.reduce_sum(roots * rows, -1, keepdims=True)
            scale = tf.sqrt(tf.maximum(self._factor, 0.0))
            return scale * (roots * rows - self._shares * inside)

        def of_matrices():
            return tf.cond(
                tf.size(self._root) > 0,
                lambda: tf.linalg.matvec(self._root, rows),
                lambda: tf.zeros_like(rows),
            )

        return tf.switch_case(self._kind, [of_single_numbers, of_shares, of_matrices])


def _equal(found, expected):
    import tensorflow as tf

    gap = tf.reduce_sum(tf.abs(found - expected))
    return gap <= _EQUAL * tf.reduce_sum(tf.abs(found))


def _factors(whole, base):
    """How many times each row of one is the other; of rows of rounding errors, as in all."""
    import tensorflow as tf

    def ratio(axis):
        above = tf.reduce_sum(whole * base, axis, keepdims=True)
        return tf.math.divide_no_nan(above, tf.reduce_sum(base * base, axis, keepdims=True))

    small = tf.reduce_sum(tf.abs(base), -1, keepdims=True) < _LEAST
    return tf.where(small, ratio(None), ratio(-1))


def _root(product: Callable, shape):
    """Whole matrices, column by column, and their roots."""
    import tensorflow as tf

    def column(at):
        found, _ = product(tf.broadcast_to(tf.one_hot(at, shape[1]), shape))
        return found

    columns = tf.map_fn(column, tf.range(shape[1]), fn_output_signature="float32")
    blocks = tf.transpose(columns, [1, 2, 0])
    found, vectors = tf.linalg.eigh((blocks + tf.transpose(blocks, [0, 2, 1])) / 2)
    return vectors * tf.sqrt(tf.maximum(found, 0.0))[:, None, :]
