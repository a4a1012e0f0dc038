"""What layers return while a model runs, without a second run of it."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_snare.replacing import Replacement


class OutputTaps:
    """Notes what some layers of a model return, in the graph that is being made.

    Each thread notes its own: `tf.distribute` makes the graphs of its replicas in turns.

    Args:
        layers: the layers.
    """

    def __init__(self, layers: list[keras.Layer]) -> None:
        self.layers = layers
        self._replaced: list[Replacement] = []
        self._local = threading.local()

    def attach(self) -> None:
        """Stands in front of the layers; what was compiled before notes nothing."""
        for at, layer in enumerate(self.layers):
            noting = functools.partial(self._noting, at)
            self._replaced.append(Replacement(layer, "call", noting))

    def detach(self) -> None:
        """Leaves the layers as they were."""
        while self._replaced:
            self._replaced.pop().end()

    @contextmanager
    def listening(self) -> Iterator[dict[int, Any]]:
        """Gives the outputs by the number of the layer, the latest where it was called again."""
        before = getattr(self._local, "outputs", None)
        self._local.outputs = found = {}
        try:
            yield found
        finally:
            self._local.outputs = before

    def _noting(self, at: int, call):
        @functools.wraps(call)
        def noting(*args: Any, **kwargs: Any):
            output = call(*args, **kwargs)
            outputs = getattr(self._local, "outputs", None)
            if outputs is not None:
                outputs[at] = output
            return output

        return noting
