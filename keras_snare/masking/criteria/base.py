"""What a criterion for connections is."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import keras
import numpy as np

from keras_snare.criteria import batches
from keras_snare.criteria.losses import mean_loss
from keras_snare.masking.kernels import Kernel

Measured = dict[str, np.ndarray]


class ConnectionCriterion(ABC):
    """Ranks the connections of kernels: the lowest scores are pruned first.

    Subclass it, implement `score`, and pass an instance as `criterion`, or register it with
    `keras_snare.masking.CONNECTION_CRITERIA.register`.

    Attributes:
        needs: `"weights"`; `"network"` for a criterion that looks at all of the network in
            `measure`, without data; or `"data"` for one that looks at labelled data.
        live: bool, whether `statistic` can be summed up in the training step instead.
        cumulative: bool, whether the sum goes on over updates of the masks.

    Example:

    >>> class Smallest(keras_snare.ConnectionCriterion):
    ...     def score(self, kernel, weights, measured):
    ...         return abs(weights)
    """

    needs: Literal["weights", "network", "data"] = "weights"
    live: bool = False
    cumulative: bool = False

    @abstractmethod
    def score(self, kernel: Kernel, weights: np.ndarray, measured: Any) -> np.ndarray:
        """Returns one score per connection.

        Args:
            kernel: whose connections.
            weights: its weights.
            measured: what `measure` returned for it, or the mean of `statistic` over the steps.

        Returns:
            Array of the shape of `weights`.
        """

    def statistic(self, weights: Any, gradients: Any) -> Any:
        """Returns what is averaged over batches, of the shape of both.

        Args:
            weights: tensor, the kernel.
            gradients: the derivative of the batch's mean loss by it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} looks at data, so it has to implement `statistic` or `measure`."
        )

    def measure(self, model: keras.Model, kernels: list[Kernel], data: Any) -> Measured | None:
        """Looks at data: the mean of `statistic` over batches of 128, in inference mode.

        Args:
            model: a compiled model.
            kernels: what is scored.
            data: `(x, y)` arrays, or an iterable of such batches.

        Returns:
            By name of the kernel, an array of its shape; None for a criterion on weights alone.
        """
        if self.needs == "weights":
            return None
        totals = {one.name: np.zeros(one.shape) for one in kernels}
        count = 0
        for x, y in batches(data, 128):
            for kernel, slope in zip(kernels, gradients(model, kernels, x, y), strict=True):
                found = self.statistic(kernel.variable.value, slope)
                totals[kernel.name] += keras.ops.convert_to_numpy(found)
            count += 1
        if not count:
            raise ValueError("The data for the criterion hold no example. Give at least one.")
        return {name: total / count for name, total in totals.items()}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


def gradients(
    model: keras.Model, kernels: list[Kernel], x: Any, y: Any, training: bool = False
) -> list[Any]:
    """Returns the derivatives of a batch's loss by kernels; the model is only read.

    Args:
        model: a compiled model.
        kernels: what it is differentiated by.
        x: inputs of the batch.
        y: targets of the batch.
        training: bool, whether in training mode, as in `model(x, training=...)`.
    """
    import tensorflow as tf

    watched = [one.variable.value for one in kernels]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        # Statistics, random states, and what layers note of their calls stay as they are.
        values = [(variable, variable.value) for variable in model.variables]
        with keras.StatelessScope(values, collect_losses=True):
            outputs = model(x, training=training)
            loss = mean_loss(model, y, outputs, x=x, training=training)
    found = tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [keras.ops.convert_to_tensor(one) for one in found]
