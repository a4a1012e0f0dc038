"""Derivatives of the examples' losses by what layers read; this part differs by backend."""

from typing import Any

import keras

from keras_snare.criteria.losses import mean_loss
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Call, Trace


class Taps:
    """Keeps what chosen calls read while a graph runs.

    Args:
        chosen: pairs of layer id and tensor key.
        mark: applied to each tapped value; the call reads what it returns.
    """

    def __init__(self, chosen: set[tuple[int, int | None]], mark=lambda value: value) -> None:
        self.chosen = chosen
        self.mark = mark
        self.values: dict[tuple[int, int | None], Any] = {}

    def read(self, call: Call, key: int, value: Any) -> Any:
        """Hook for `Trace.run`."""
        place = (id(call.operation), key)
        if place not in self.chosen:
            return value
        self.values[place] = self.mark(value)
        return self.values[place]


def only_tensorflow(what: str) -> None:
    """Refuses to differentiate on another backend.

    Raises:
        UnsupportedModelError: on another one.
    """
    if keras.backend.backend() != "tensorflow":
        raise UnsupportedModelError(
            f"{what} need the TensorFlow backend. Received: {keras.backend.backend()}. Choose a "
            "criterion on weights, such as 'l1_in'."
        )


def gradients_by_taps(
    model: keras.Model,
    graph: Trace,
    chosen: set,
    inputs: list[Any],
    targets: Any,
    weights: list[Any],
) -> tuple[Taps, dict[Any, Any]]:
    """Runs a batch and differentiates its mean loss by what the chosen calls read, and by weights.

    Returns:
        The taps with their values, and the derivatives by the same keys; those by weights, by id.
    """
    only_tensorflow("Criteria on gradients")
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for weight in weights:
            tape.watch(weight.value)

        def mark(value):
            copy = tf.identity(value)
            tape.watch(copy)
            return copy

        taps = Taps(chosen, mark)
        outputs = keras.tree.pack_sequence_as(graph.structure, graph.run(inputs, taps.read))
        loss = mean_loss(model, targets, outputs)
    keys = list(taps.values)
    slopes = tape.gradient(
        loss,
        [*(taps.values[key] for key in keys), *(weight.value for weight in weights)],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return taps, dict(zip([*keys, *map(id, weights)], map(_dense, slopes), strict=True))


def _dense(slope):
    """Looking rows up in an embedding gives a sparse derivative."""
    return keras.ops.convert_to_tensor(slope)
