"""What data, or the network as a whole, show of the channels, for any criterion."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.data import averages
from keras_snare.criteria.flow import flow_of_units
from keras_snare.criteria.gates import gate_statistics
from keras_snare.graph import ChannelGroup, ChannelGroups


def statistics(
    model: keras.Model,
    groups: ChannelGroups,
    chosen: Iterable[ChannelGroup],
    criterion: Criterion,
    data: Any,
    batch_size: int = 128,
) -> dict[str, np.ndarray]:
    """Finds a criterion's statistic of data, in inference mode, or of the network.

    Args:
        model: the model.
        groups: its channel groups.
        chosen: the groups to look at.
        criterion: what to reduce a batch by.
        data: `(x, y)` arrays, or an iterable of such batches; None if the criterion needs none.
        batch_size: int, for arrays.

    Returns:
        Group name to array `(width,)`, or `(width, parts)` for a combined criterion.
    """
    chosen = list(chosen)
    if criterion.measured == (criterion,):
        if criterion.needs == "network":
            return flow_of_units(model, chosen, criterion.size)
        measure = gate_statistics if criterion.needs == "curvature" else averages
        return measure(model, groups, chosen, criterion, data, batch_size)
    parts = [
        statistics(model, groups, chosen, part, data, batch_size) for part in criterion.measured
    ]
    return {one.name: np.stack([found[one.name] for found in parts], axis=-1) for one in chosen}
