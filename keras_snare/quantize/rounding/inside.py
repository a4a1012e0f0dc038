"""Layers made of layers: what their parts read and return is rounded too."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.graph.trace import parts_of, projections_of
from keras_snare.quantize.rounding.activations import FIXED
from keras_snare.quantize.rounding.numbers import rounded

layers = keras.layers


@dataclass(frozen=True, eq=False)
class Part:
    """A layer inside of another one.

    Args:
        layer: the part.
        reads: str, the name of what it reads where that is rounded, or None.
        returns: the same of what it returns.
        fixed: the range of what it returns, where it depends on no data, or None.
    """

    layer: Any
    reads: str | None = None
    returns: str | None = None
    fixed: tuple[float, float] | None = None


# By class, the parts of a layer that are rounded.
PARTS: dict[type, Callable[[Any], list[Part]]] = {}


def rounded_parts(operation: Any) -> list[Part]:
    """The parts of an operation that are rounded."""
    return PARTS[type(operation)](operation) if type(operation) in PARTS else []


def steps_inside(operation: Any) -> list[str]:
    """The names of what is rounded for the parts of an operation."""
    parts = rounded_parts(operation)
    return [name for part in parts for name in (part.reads, part.returns) if name]


def calls_inside(operation: Any, steps: dict[str, Any], training: bool) -> Iterator[tuple]:
    """What stands in for the `call` of each part, as (part, callable)."""
    for part in rounded_parts(operation):
        yield part.layer, _rounding(part, part.layer.call, steps, training)


def _rounding(part: Part, call: Callable, steps: dict[str, Any], training: bool) -> Callable:
    def rounding(x, *args, **kwargs):
        if part.reads is not None:
            x = steps[part.reads](x, training)
        found = call(x, *args, **kwargs)
        if part.fixed is not None:
            return rounded(found, *part.fixed)
        return found if part.returns is None else steps[part.returns](found, training)

    return rounding


def _attention(layer: Any) -> list[Part]:
    found = projections_of(layer)
    softmax = [one for one in parts_of(layer) if isinstance(one, layers.Softmax)]
    return [
        Part(found.query, returns="query"),
        Part(found.key, returns="key"),
        Part(found.value, returns="value"),
        *(Part(one, reads="scores", fixed=FIXED["softmax"]) for one in softmax),
        Part(found.output, reads="context"),
    ]


PARTS[layers.MultiHeadAttention] = PARTS[layers.GroupQueryAttention] = _attention
