"""From where to where a tensor goes: set from data, then followed in training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_snare.graph.trace import mask_of, masked
from keras_snare.quantize.rounding.numbers import rounded

# How far a range goes in a training step to that of the batch.
_STEP = 0.01
# Tensors of nothing but zeros have steps too.
_LEAST = 1e-5

Way = Callable[[Any, Any, Callable], Any]


@dataclass(eq=False)
class Mode:
    """What all parts of one quantized network do at the moment.

    Args:
        shared: bool, whether they compute with the weights of the model, or with those of their
            own.
        way: how a range is set from what was there and what a batch shows, or None: it is not.
    """

    shared: bool = False
    way: Way | None = None


class Range:
    """Rounds a tensor to 8 bits, by the range that it has had so far.

    Args:
        owner: the layer that keeps the two ends among its weights.
        name: str, what is rounded there.
        mode: that of the network.
    """

    def __init__(self, owner: keras.layers.Layer, name: str, mode: Mode):
        self._mode = mode
        self.low, self.high = (
            owner.add_weight(name=f"{name}_{end}", initializer="zeros", trainable=False)
            for end in ("min", "max")
        )

    def __call__(self, x: Any, training: bool) -> Any:
        """Rounds a tensor, whose mask stays; one of integers passes."""
        if not keras.backend.is_float_dtype(x.dtype):
            return x
        if self._mode.way is not None:
            self._set(x, self._mode.way)
        elif training:
            self._set(x, _nearer)
        return masked(rounded(x, self.low.value, self.high.value), mask_of(x))

    def _set(self, x: Any, way: Way) -> None:
        x = ops.stop_gradient(x)
        low = way(self.low.value, ops.minimum(ops.min(x), 0.0), ops.minimum)
        high = way(self.high.value, ops.maximum(ops.max(x), 0.0), ops.maximum)
        self.low.assign(low)
        self.high.assign(ops.maximum(high, low + _LEAST))


def _nearer(before: Any, found: Any, widest: Callable) -> Any:
    return before + _STEP * (found - before)
