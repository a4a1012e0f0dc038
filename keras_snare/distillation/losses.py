"""Keras's distillation losses, on weighted examples and masked positions."""

from typing import Any

import keras
from keras import ops
from keras.distillation import FeatureDistillation, LogitsDistillation

from keras_snare.graph.trace import masked


class _Weighted(keras.losses.Loss):
    """A loss that knows its weights before it is called, as Keras's distillation calls it.

    Args:
        weight: of each example, or of each position too, or None.
        mask: of each position, or None.
    """

    def __init__(self, weight: Any = None, mask: Any = None) -> None:
        super().__init__()
        self.weight = weight
        self.mask = mask

    def __call__(self, y_true, y_pred, sample_weight=None):
        ndim = len(y_pred.shape) - 1
        weight = None if self.weight is None else _of_rank(self.weight, ndim)
        mask = None if self.mask is None else _of_rank(self.mask, ndim)
        return super().__call__(y_true, masked(y_pred, mask), weight)


class _Divergence(_Weighted, keras.losses.KLDivergence):
    pass


class _SquaredError(_Weighted, keras.losses.MeanSquaredError):
    pass


def softened_divergence(
    taught: Any, found: Any, temperature: float, weight: Any = None, mask: Any = None
) -> Any:
    """Kullback-Leibler divergence of softened answers, times the squared temperature.

    Args:
        taught: the teacher's logits, classes along the last axis.
        found: the model's.
        temperature: float, divides both.
        weight: of each example or position, or None.
        mask: of each position, or None.
    """
    loss = LogitsDistillation(temperature=temperature, loss=_Divergence(weight, mask))
    return loss.compute_loss(taught, found)


def squared_error(taught: Any, found: Any, weight: Any = None, mask: Any = None) -> Any:
    """Mean squared difference of two answers or features."""
    return FeatureDistillation(loss=_SquaredError(weight, mask)).compute_loss(taught, found)


def example_weights(weights: list[Any]) -> Any:
    """The mean weight of each example over its positions and the model's outputs, or None."""
    given = [ops.cast(one, keras.config.floatx()) for one in weights if one is not None]
    flat = [ops.mean(ops.reshape(one, (ops.shape(one)[0], -1)), axis=1) for one in given]
    return ops.mean(ops.stack(flat), axis=0) if flat else None


def _of_rank(value: Any, ndim: int) -> Any:
    """With axes of length 1 behind its own, as many as it lacks."""
    for _ in range(ndim - len(value.shape)):
        value = ops.expand_dims(value, axis=-1)
    return value
