"""How what several layers of a group say of a channel becomes one figure."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_snare.criteria.evidence import ChannelEvidence, is_kernel
from keras_snare.registry import Registry

# Each takes figures, none negative, and where there are any, both of shape (arrays, channels).
REDUCTIONS: Registry[Callable[[np.ndarray, np.ndarray], np.ndarray]] = Registry("reduction")
for _name, _reduce in {
    "max": lambda figures, held: np.max(figures, axis=0, where=held, initial=0.0),
    "mean": lambda figures, held: (figures * held).sum(axis=0) / np.maximum(held.sum(axis=0), 1),
    "norm": lambda figures, held: np.sqrt(np.sum(figures**2, axis=0, where=held)),
    "product": lambda figures, held: np.prod(figures, axis=0, where=held) * held.any(axis=0),
    "sum": lambda figures, held: np.sum(figures, axis=0, where=held),
}.items():
    REDUCTIONS.register(_name, _reduce)


def check_reduction(reduction: Any) -> str:
    """Returns the name of a reduction.

    Raises:
        TypeError: when it is no name.
        ValueError: when no reduction has the name.
    """
    if not isinstance(reduction, str):
        raise TypeError(
            f"`reduction` is a name: {', '.join(REDUCTIONS.names())}. Received: {reduction!r}"
        )
    REDUCTIONS.get(reduction)
    return reduction


def over_layers(
    channels: ChannelEvidence,
    role: str,
    figure: Callable[[np.ndarray], np.ndarray],
    reduction: str,
    wanted: Callable[[Any], bool] = is_kernel,
) -> np.ndarray:
    """Reduces what is found in each array of a group to one figure per channel.

    Args:
        channels: the group.
        role: `"producer"`, `"reader"` or `"through"`.
        figure: takes an array `(channels, weights per channel)` and returns a figure per channel,
            none negative. Channels that the array has nothing of are left out.
        reduction: name in `REDUCTIONS`; it, too, leaves out what there is nothing of.
        wanted: tells which variables count.

    Returns:
        Array `(width,)`, zeros where no array has anything of a channel.
    """
    arrays, held = channels.arrays(role, wanted), channels.held(role, wanted)
    if not arrays:
        return np.zeros(channels.width)
    figures = np.zeros((len(arrays), channels.width))
    for found, array, there in zip(figures, arrays, held, strict=True):
        found[there] = figure(array[there])
    return REDUCTIONS.get(reduction)(figures, np.array(held))
