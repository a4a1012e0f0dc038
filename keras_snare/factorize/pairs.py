"""Where a model computes through a middle that is linear: its ranks are units of such a middle."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.graph import PRODUCER, READER, THROUGH, ChannelGroup, ChannelGroups, Trace
from keras_snare.layers import LowRankDense

_KINDS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two kernels with nothing in between, so that their product is all that counts.

    Args:
        group: str, name of the channel group of the units between them.
        layer: the layer that makes these units.
        first, last: the kernels, the units along the last axis of one, and the last but one of the
            other.
    """

    group: str
    layer: Any
    first: Any
    last: Any

    @property
    def is_inside(self) -> bool:
        """Whether both lie inside of one layer, whose own units are others."""
        return isinstance(self.layer, LowRankDense)


def pairs_of(groups: ChannelGroups) -> dict[str, Pair]:
    """Returns the pairs of a model whose ranks can be cut, by name of the channel group.

    They are those inside of a `LowRankDense`, and dense layers or convolutions without bias and
    activation, which nothing but one other such layer reads.
    """
    found = (_pair(groups.trace, group) for group in groups.prunable())
    return {pair.group: pair for pair in found if pair is not None}


def _pair(graph: Trace, group: ChannelGroup) -> Pair | None:
    made, read = (
        {id(one.binding.variable): one.binding for one in group.with_role(role)}
        for role in (PRODUCER, READER)
    )
    if len(made) != 1 or len(read) != 1 or group.with_role(THROUGH):
        return None
    first, last = (next(iter(one.values())) for one in (made, read))
    if not (_is_plain(first.layer) and _is_plain(last.layer)):
        return None
    inside = first.layer is last.layer and isinstance(first.layer, LowRankDense)
    if not inside and not _is_linear(graph, first.layer, last.layer):
        return None
    return Pair(group.name, first.layer, first.variable, last.variable)


def _is_plain(layer: keras.layers.Layer) -> bool:
    """Tells whether kernels may be mixed along the units that they make, or read."""
    kept = type(layer) in (*_KINDS, LowRankDense) and layer.kernel_constraint is None
    return kept and getattr(layer, "groups", 1) == 1


def _is_linear(graph: Trace, first, last) -> bool:
    """Tells whether a layer hands its products on as they are, to one other layer only."""
    if type(first) not in _KINDS or first.use_bias or first.activity_regularizer is not None:
        return False
    if first.activation is not keras.activations.linear:
        return False
    made = {key for call in graph.calls if call.operation is first for key in call.outputs}
    readers = [call.operation for call in graph.calls if made & set(call.inputs)]
    return not made & set(graph.outputs) and all(one is last for one in readers)
