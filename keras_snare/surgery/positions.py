"""Which positions of its variables a model keeps, in one cut and in all of them."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.graph import ChannelGroups, axis_key
from keras_snare.surgery import optimizers

Positions = dict[int, np.ndarray]


def kept_positions(groups: ChannelGroups, removed: np.ndarray) -> dict[int, tuple[Any, Positions]]:
    """Per variable of a model that a cut changes: the variable, and axis to positions that stay.

    Args:
        groups: its channel groups before the cut.
        removed: the channels (roots) that go.
    """
    keep: dict[int, tuple[Any, Positions]] = {}
    for binding in groups.bindings:
        stay = groups.kept(binding.labels, removed)
        if not stay.all():
            key, axis = axis_key(binding.variable, binding.axis)
            keep.setdefault(key, (binding.variable, {}))[1][axis] = np.flatnonzero(stay)
    return keep


def slot_positions(
    optimizer, keep: Mapping[int, tuple[Any, Positions]]
) -> list[tuple[Any, Positions]]:
    """The same of the optimizer's slots, for what `kept_positions` returned."""
    found = []
    for slot in optimizers.slots(optimizer):
        axes = keep.get(id(slot.variable), (None, {}))[1]
        own = {at: axes[axis] for at, axis in enumerate(slot.axes) if axis in axes}
        if own:
            found.append((slot.value, own))
    return found


class Stayed:
    """Follows the cuts of a model: which positions of its variables are left since `begin`.

    Args:
        model: the model; its optimizer's slots are looked at as well.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._left: dict[int, tuple[Any, Positions]] = {}

    def begin(self) -> None:
        """From here on, all positions are there."""
        self._left = {}

    def of(self, variable) -> Positions:
        """Returns, for each axis that was cut, the positions that are left."""
        return self._left.get(id(variable), (None, {}))[1]

    def cut(self, groups: ChannelGroups, removed: np.ndarray) -> None:
        """The channels `removed` (roots) of the groups have just gone."""
        keep = kept_positions(groups, removed)
        slots = slot_positions(optimizers.built_optimizer(self.model), keep)
        left = dict(self._left)
        for variable, axes in (*keep.values(), *slots):
            before = self.of(variable)
            after = {axis: before[axis][at] if axis in before else at for axis, at in axes.items()}
            left[id(variable)] = (variable, before | after)
        self._left = left

    def state(self) -> Any:
        """Returns what `put_back` takes."""
        return self._left

    def put_back(self, state: Any) -> None:
        """Becomes what it was when `state` returned this."""
        self._left = state
