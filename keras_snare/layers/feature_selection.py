"""A layer that passes on some of its input features."""

import operator
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_snare")
class FeatureSelection(keras.layers.Layer):
    """Passes on the chosen features of the last axis and drops the others.

    `SnareCallback(prune_inputs=True)` puts it in front of the first `Dense` layer, so that input
    features that carry nothing cost nothing. The indices are part of the layer's configuration,
    not a weight.

    Args:
        indices: sequence of int, the features to pass on, each at most once.

    Input shape:
        `(batch, ..., features)`.

    Output shape:
        `(batch, ..., len(indices))`.

    Raises:
        TypeError: when `indices` holds anything but integers.
        ValueError: when `indices` is empty, repeats a feature, or names one that the input lacks.

    Example:

    >>> keras_snare.layers.FeatureSelection([0, 3])(np.array([[1.0, 2.0, 3.0, 4.0]])).shape
    TensorShape([1, 2])
    """

    def __init__(self, indices: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.indices = _whole(indices)
        if not self.indices or min(self.indices) < 0 or len(set(self.indices)) < len(self.indices):
            raise ValueError(
                "FeatureSelection takes one or more distinct indices, none negative. Received: "
                f"indices={self.indices}"
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] is None or max(self.indices) >= input_shape[-1]:
            raise ValueError(
                f"Layer {self.name!r} selects feature {max(self.indices)}, so its input needs at "
                f"least {max(self.indices) + 1} features. Received: input_shape={input_shape}"
            )

    def call(self, inputs: Any) -> Any:
        return keras.ops.take(inputs, self.indices, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], len(self.indices))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "indices": list(self.indices)}


def _whole(indices) -> tuple[int, ...]:
    try:
        found = list(indices)
        if any(isinstance(index, bool) for index in found):
            raise TypeError("True and False are no indices")
        return tuple(operator.index(index) for index in found)
    except TypeError as error:
        raise TypeError(
            f"FeatureSelection takes a sequence of integers. Received: indices={indices!r} "
            f"({error}). np.flatnonzero(mask) turns a mask into indices."
        ) from None
