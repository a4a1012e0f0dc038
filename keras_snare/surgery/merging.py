"""Channels that are merged: who stays takes over the outgoing weights of who goes."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.graph import READER, ChannelGroups, axis_key


def merged(groups: ChannelGroups, twins: Mapping[int, int]) -> list[tuple[Any, np.ndarray]]:
    """Computes what readers have to be given before channels go.

    Args:
        groups: the channel groups.
        twins: channel (root) that goes to the one that takes over its outgoing weights.

    Returns:
        Pairs of a variable and what has to be added to it, in its shape before the cut. A reader
        that reads the one but not the other is left as it is.
    """
    added: list[tuple[Any, np.ndarray]] = []
    seen = set()
    for binding in groups.bindings:
        key = axis_key(binding.variable, binding.axis)
        if binding.role != READER or key in seen:
            continue
        seen.add(key)
        roots = groups.roots[binding.labels]
        pairs = [
            (np.flatnonzero(roots == one), np.flatnonzero(roots == other))
            for one, other in twins.items()
        ]
        pairs = [(one, other) for one, other in pairs if len(one) and len(one) == len(other)]
        if pairs:
            value = np.moveaxis(keras.ops.convert_to_numpy(binding.variable), binding.axis, 0)
            gained = np.zeros_like(value)
            for one, other in pairs:
                gained[other] += value[one]
            added.append((binding.variable, np.moveaxis(gained, 0, binding.axis)))
    return added
