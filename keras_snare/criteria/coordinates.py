"""What a loss is differentiated by, and its first derivative."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.criteria.losses import mean_loss
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


def loss_slopes(
    model: keras.Model, graph: Trace, weights: list[Any], inputs: list[Any], targets: Any
) -> list[Any]:
    """Returns the derivative of a batch's mean loss by each of the weights, in inference mode."""
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        # What layers and losses note of their calls must not stay with the model.
        values = [(variable, variable.value) for variable in model.variables]
        with keras.StatelessScope(values, collect_losses=True):
            outputs = graph.run(inputs, lambda call, key, value: value)
            outputs = keras.tree.pack_sequence_as(graph.structure, outputs)
            loss = mean_loss(model, targets, outputs)
    slopes = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(slope) for slope in slopes]
