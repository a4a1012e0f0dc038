"""How many channels each group loses when a share is removed at once."""

from collections.abc import Iterable, Mapping
from math import ceil

import numpy as np

from keras_snare.criteria import Normalization, normalized
from keras_snare.graph import ChannelGroup

SCOPES = ("local", "global")


def lowest(group: ChannelGroup, scores: np.ndarray, remove: int) -> np.ndarray:
    """Returns the channels (roots) with the lowest scores among those that may go.

    Each layer keeps a unit in any case. Equal scores go in the order of the units.
    """
    order = group.free[np.argsort(scores[group.free], kind="stable")]
    return group.roots[group.first(order, remove)]


def one_shot(
    chosen: Iterable[ChannelGroup],
    scores: Mapping[str, np.ndarray],
    amount: float,
    scope: str,
    round_to: int | None = None,
    normalize: str | Normalization = "rms",
) -> np.ndarray:
    """Chooses the channels to remove at once.

    Args:
        chosen: the groups to cut.
        scores: per group one score per channel.
        amount: float, share of the channels: of each group, or of all groups together.
        scope: `"local"` (the same share of each group) or `"global"` (the lowest of all).
        round_to: int or None, widths stay multiples of it.
        normalize: what is done to each group's scores first in the global scope; by default they
            are divided by their root mean square, as Molchanov 2016 does.

    Returns:
        Array of roots.
    """
    chosen = list(chosen)
    if scope == "local":
        counts = {group.name: int(amount * group.width + 1e-9) for group in chosen}
    else:
        counts = _global_counts(chosen, scores, amount, normalize)
    removed = [np.array([], dtype=np.int64)]
    for group in chosen:
        keep = group.width - min(counts[group.name], group.removable)
        multiple = round_to or 1
        keep = max(ceil(keep / multiple), 1) * multiple
        removed.append(lowest(group, scores[group.name], max(group.width - keep, 0)))
    return np.concatenate(removed)


def _global_counts(chosen, scores, amount: float, normalize) -> dict[str, int]:
    if not chosen:
        return {}
    parts = [
        _going(group, normalized(scores[group.name][group.free], normalize)) for group in chosen
    ]
    owner = np.repeat(np.arange(len(chosen)), [len(part) for part in parts])
    order = np.argsort(np.concatenate(parts), kind="stable")
    total = int(amount * sum(group.width for group in chosen) + 1e-9)
    counts = np.bincount(owner[order[:total]], minlength=len(chosen))
    return {group.name: int(count) for group, count in zip(chosen, counts, strict=True)}


def _going(group: ChannelGroup, values: np.ndarray) -> np.ndarray:
    """The values of the channels that can go together, of those that may go."""
    going = group.first(group.free[np.argsort(values, kind="stable")], group.width)
    return values[np.isin(group.free, going)]
