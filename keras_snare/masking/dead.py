"""Units that no connection reaches, or that reach none: they can be removed for real."""

from typing import Any

import keras
import numpy as np

from keras_snare.criteria import ChannelEvidence
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import (
    PRODUCER,
    READER,
    ChannelGroup,
    ChannelGroups,
    channel_groups,
    model_cost,
)
from keras_snare.policy import matching_groups, select_groups
from keras_snare.records import PrunePlan, PruneReport, WidthChange
from keras_snare.surgery import Snapshot, plan_for, remove
from keras_snare.surgery.constants import constants
from keras_snare.surgery.probing import is_heard


def remove_dead(model: keras.Model, layers: Any = None) -> PruneReport:
    """Removes the units whose incoming, or outgoing, connections are all zero, in place.

    What the model computes stays the same: a unit without incoming connections gives its readers a
    constant, which their biases take over; where they cannot, it stays. So do units without
    outgoing connections that something else looks at, such as the statistics of a
    `LayerNormalization`, or an attention without weights. Removing units may leave
    others without a connection, so it goes on until there are none. Of each layer a unit stays.

    Args:
        model: a built Keras model.
        layers: which layers, as `SnareCallback` takes them.

    Returns:
        `PruneReport`.

    Raises:
        UnsupportedModelError: when no graph of the model is to be had; nothing has changed.
        ValueError: when `layers` matches nothing that can be cut; nothing has changed.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
    >>> model.layers[1].kernel.assign(keras.ops.eye(8, 2))
    >>> keras_snare.remove_dead(model).params_after
    16
    """
    first = groups = channel_groups(model)
    if layers is not None:
        select_groups(groups, layers)
    before = model_cost(groups)
    plan = PrunePlan({})
    snapshots: list[Snapshot] = []
    try:
        while True:
            step = _remove_some(model, groups, layers, snapshots)
            if step is None:
                break
            plan = plan.then(step)
            groups = channel_groups(model)
    except BaseException:
        for snapshot in snapshots[:1]:
            snapshot.restore()
        raise
    after = model_cost(groups)
    widths = {group.layers: group.width for group in groups}
    changes = tuple(
        WidthChange(group.name, group.width, widths[group.layers])
        for group in first
        if widths.get(group.layers, group.width) < group.width
    )
    return PruneReport(changes, before.params, after.params, before.flops, after.flops, plan)


def _remove_some(
    model: keras.Model, groups: ChannelGroups, layers: Any, snapshots: list[Snapshot]
) -> PrunePlan | None:
    """Removes dead units of the first group that has some."""
    for group in matching_groups(groups, layers):
        unread, unfed = _without(group, READER), _without(group, PRODUCER)
        if unread.size and is_heard(groups, unread):
            unread = unread[:0]
        if not unread.size:
            unfed = _foldable(groups, group, unfed)
        dead = unread if unread.size else unfed
        if dead.size:
            plan = plan_for(groups, dead)
            snapshots.append(remove(model, groups, dead, fold_constants=not unread.size))
            del snapshots[1:]
            return plan
    return None


def _foldable(groups: ChannelGroups, group: ChannelGroup, unfed: np.ndarray) -> np.ndarray:
    """Returns those of the units without input whose constant the readers' biases can hold."""
    if not unfed.size or _can_fold(groups, group, unfed):
        return unfed
    alone = [root for root in unfed.tolist() if _can_fold(groups, group, np.array([root]))]
    return np.array(alone, dtype=np.int64)


def _can_fold(groups: ChannelGroups, group: ChannelGroup, unfed: np.ndarray) -> bool:
    try:
        added = constants(groups, unfed)
    except UnsupportedModelError:
        return False
    # Where a convolution pads, its border sees less of the constant than a bias would give.
    pads = any(_pads(member.binding.layer) for member in group.with_role(READER))
    return not pads or not any(np.any(value) for _, value in added)


def _pads(layer: keras.layers.Layer) -> bool:
    return getattr(layer, "padding", "valid") != "valid" and max(layer.kernel_size) > 1


def _without(group: ChannelGroup, role: str) -> np.ndarray:
    """Returns the channels (roots) with no weight but zero in a role, as far as they may go."""
    arrays = ChannelEvidence(group).weights(role)
    if not arrays:
        return np.array([], dtype=np.int64)
    alive = np.any([np.any(array != 0, axis=1) for array in arrays], axis=0)
    order = group.free[~alive[group.free]]
    return group.roots[group.first(order, len(order))]
