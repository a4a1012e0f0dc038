"""What has a search cut ranks in the place of units."""

import re
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.factorize.pairs import Pair, pairs_of
from keras_snare.factorize.turning import turn
from keras_snare.graph import ChannelGroup, ChannelGroups, channel_groups
from keras_snare.policy import means
from keras_snare.surgery import Snapshot, take_snapshot


class RankCuts:
    """The ranks of a model that are to be cut.

    Args:
        model: the model.
        layers: which first layers of a pair are meant, as `RankReduceCallback` takes them.

    Attributes:
        layers: what tells their channel groups from others, as `matching_groups` takes it.

    Raises:
        UnsupportedModelError: when the model has no layers in factors.
        ValueError: when `layers` mean none of them.
    """

    def __init__(self, model: keras.Model, layers: Any) -> None:
        self.model = model
        pairs = list(pairs_of(channel_groups(model)).values())
        if not pairs:
            raise UnsupportedModelError(
                "Expected layers in factors: LowRankDense, or dense layers and convolutions "
                "without bias and activation that one other such layer reads. Received: "
                f"{model.name!r}, which has none. Make it by keras_snare.factorize(model, 0.99)."
            )
        chosen = [one for one in pairs if layers is None or means(layers, one.group, one.layer)]
        if not chosen:
            names = ", ".join(one.group for one in pairs)
            raise ValueError(
                f"`layers` matches no layer whose units are ranks. Received: {layers!r}. Layers "
                f"whose units are: {names}."
            )
        held = {id(one.layer) for one in chosen if not one.is_inside}
        # Of a layer that makes units beside, the ranks have a name of their own.
        inside = [re.escape(one.group) for one in chosen if one.is_inside]
        self.layers = [lambda layer: id(layer) in held, *inside]

    def prepare(self, groups: ChannelGroups, group: ChannelGroup) -> Snapshot:
        """Turns the units of a group so that the last ones carry least; returns the way back."""
        before = take_snapshot(self.model, groups.trace)
        turn(self.model, self._pair(groups, group))
        return before

    def _pair(self, groups: ChannelGroups, group: ChannelGroup) -> Pair:
        # Cuts change widths only, so that what was a pair still is one.
        return pairs_of(groups)[group.name]
