"""Ranges of activations and weights from data, before TF-MOT's averages are trusted.

TF-MOT begins with -6 to 6 and moves a thousandth of the way in every step, so that a short training
would end with ranges that say nothing about the network.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, repeat
from typing import Any

import numpy as np

# How far TF-MOT's averages move in a step; from zero they show what they move to.
_STEP = 0.001


def calibrate(quantized: Any, batches: Sequence[list[Any]]) -> None:
    """Sets the ranges of a quantized model to what its tensors span over batches.

    The network is run as in inference, so that neither Dropout nor the statistics of single batches
    are seen, and nothing but the ranges changes.

    Args:
        quantized: what TF-MOT made.
        batches: each a list of the model's inputs.
    """
    ways = chain([_new], repeat(_wider))
    for batch, way in zip(batches, ways, strict=False):
        with _quantizers_watching(way):
            _call(quantized, batch)


def follow_weights(quantized: Any, batch: list[Any]) -> None:
    """Sets the ranges of weights to what they span now, and leaves those of activations alone."""
    with _quantizers_watching(_old):
        _call(quantized, batch)


def _new(before: Any, found: Any, widest: Callable) -> Any:
    return found


def _wider(before: Any, found: Any, widest: Callable) -> Any:
    return widest(before, found)


def _old(before: Any, found: Any, widest: Callable) -> Any:
    return before


def _call(quantized: Any, batch: list[Any]) -> None:
    quantized(batch if len(batch) > 1 else batch[0], training=False)


@contextmanager
def _quantizers_watching(way: Callable) -> Iterator[None]:
    """Has quantizers take ranges as they do in training, in a network that does not train."""
    from keras_snare.quantize.environment import tf_mot

    library = tf_mot().quantization.keras.quantizers

    inside = False

    def watching(call: Callable) -> Callable:
        def quantize(quantizer, inputs, training, weights, **kwargs):
            nonlocal inside
            if inside:  # A quantizer that calls the one that it is derived from.
                return call(quantizer, inputs, training, weights, **kwargs)
            inside = True
            try:
                return measured(call, quantizer, inputs, weights, kwargs)
            finally:
                inside = False

        return quantize

    def measured(call, quantizer, inputs, weights, kwargs):
        if not isinstance(quantizer, library.MovingAverageQuantizer):
            return call(quantizer, inputs, True, weights, **kwargs)
        ranges = {np.minimum: weights["min_var"], np.maximum: weights["max_var"]}
        before = [one.numpy() for one in ranges.values()]
        for one in ranges.values():
            one.assign(0.0 * one)
        call(quantizer, inputs, True, weights, **kwargs)
        for (widest, one), own in zip(ranges.items(), before, strict=True):
            one.assign(way(own, one.numpy() / _STEP, widest))
        return call(quantizer, inputs, False, weights, **kwargs)

    with ExitStack() as stack:
        # Python looks `__call__` up in the class, so that no single object can have another one.
        for kind in _kinds(library.Quantizer):
            if "__call__" in vars(kind):
                stack.callback(setattr, kind, "__call__", vars(kind)["__call__"])
                # Types know no assignment to a method.
                setattr(kind, "__call__", watching(vars(kind)["__call__"]))  # noqa: B010
        yield


def _kinds(parent: type) -> Iterator[type]:
    for kind in parent.__subclasses__():
        yield kind
        yield from _kinds(kind)
