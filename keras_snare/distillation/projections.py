"""From the width of a layer to that of the one that teaches it, also when channels are cut."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_snare.distillation.losses import squared_error
from keras_snare.graph import ChannelGroups
from keras_snare.surgery import UnreducedGradients

_RATE = 1e-3


class Projection:
    """A matrix that features are multiplied by, along their last axis.

    It begins as the identity where the widths are equal, and with orthonormal rows or columns where
    not. When channels of the layer are cut, the rows of those that stay are used; they come back
    with their channels.

    Args:
        model: the model in training.
        layer: a layer of it.
        widths: channels of the layer, and of the teacher's.
        learned: bool, whether it is trained, by an Adam of its own, in the model's training step.
        seed: int, for the random matrix.
    """

    def __init__(
        self,
        model: keras.Model,
        layer: keras.Layer,
        widths: tuple[int, int],
        learned: bool,
        seed: int,
    ) -> None:
        self.model = model
        self.layer = layer
        self.learned = learned
        if widths[0] == widths[1]:
            self.start = np.eye(widths[0], dtype=keras.config.floatx())
        else:
            orthogonal = keras.initializers.Orthogonal(seed=seed)
            self.start = ops.convert_to_numpy(orthogonal(widths, dtype=keras.config.floatx()))
        self.matrix: Any = None
        self._optimizer: Any = None
        self._kept = np.arange(widths[0])

    def build(self) -> None:
        """Makes the variables, in the scope of the running strategy, if it learns."""
        if self.learned:
            self.matrix = keras.Variable(self.start, name="projection")
            self._optimizer = keras.optimizers.Adam(_RATE)
            self._optimizer.build([self.matrix])
            UnreducedGradients(self.model, self._optimizer).attach()

    def error(self, features: Any, taught: Any, size: Any, weight: Any) -> Any:
        """Returns how far features of a batch are from what they should be.

        A projection that learns is better from the next step on.

        Args:
            features: `(batch, ..., channels)`.
            taught: the teacher's, divided by their size.
            size: of the teacher's features.
            weight: of each example, or None.
        """
        if features.shape[-1] != len(self._kept):
            raise ValueError(
                f"Layer {self.layer.name!r} returns {features.shape[-1]} channels; "
                f"{len(self._kept)} are left of those that its projection was made for. Undo only "
                "cuts that were made in this fit."
            )

        def of(features, matrix):
            if len(self._kept) < len(self.start):
                matrix = ops.take(matrix, self._kept, axis=0)
            return squared_error(taught, ops.matmul(features, matrix) / size, weight)

        if not self.learned:
            return of(features, ops.convert_to_tensor(self.start))
        found = of(features, self.matrix.value)
        self._learn(functools.partial(of, ops.stop_gradient(features)))
        return found

    def cut(self, groups: ChannelGroups, removed: np.ndarray) -> None:
        """Leaves out the rows of channels that go."""
        graph = groups.trace
        for call in (*graph.calls, *graph.nested):
            if call.operation is self.layer:
                labels = groups.labels[call.outputs[0]]
                last = len(graph.shape(call.outputs[0])) - 1
                if last in labels:
                    self._kept = self._kept[groups.kept(labels[last], removed)]
                return

    def state(self) -> np.ndarray:
        """The channels that are left."""
        return self._kept

    def put_back(self, state: np.ndarray) -> None:
        """Uses the rows of channels that come back."""
        self._kept = state

    def _learn(self, error: Callable[[Any], Any]) -> None:
        import tensorflow as tf

        value = self.matrix.value
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(value)
            found = error(value)
        slope = ops.convert_to_tensor(tape.gradient(found, value))
        # A step that overflows, as in mixed precision, teaches nothing.
        slope = ops.where(ops.isfinite(slope), slope, 0.0)
        self._optimizer.apply([slope], [self.matrix])
