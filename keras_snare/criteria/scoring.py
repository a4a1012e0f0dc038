"""Scores for the groups of a model, checked."""

from collections.abc import Iterable

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.graph import ChannelGroup


def twins_of(
    chosen: Iterable[ChannelGroup], criterion: Criterion, removed: np.ndarray
) -> dict[int, int]:
    """Returns, for a criterion that merges, the channel that takes over from each that goes.

    Args:
        chosen: the groups.
        criterion: what they were scored by.
        removed: the channels that go, by root.

    Returns:
        Root of a channel that goes to the root of one that stays; those without one are left out.
    """
    found: dict[int, int] = {}
    for group in chosen:
        going = np.isin(group.roots, removed)
        twins = criterion.twins(ChannelEvidence(group)) if going.any() else None
        if twins is None:
            continue
        for channel in np.flatnonzero(going).tolist():
            twin = int(twins[channel])
            while twin >= 0 and going[twin]:
                twin = int(twins[twin])
            if twin >= 0:
                found[int(group.roots[channel])] = int(group.roots[twin])
    return found


def checked_scores(criterion: Criterion, evidence: ChannelEvidence) -> np.ndarray:
    """Scores the channels of a group.

    Raises:
        ValueError: when the criterion returns another shape, or NaN.
    """
    group = evidence.group
    found = np.asarray(criterion.score(evidence), dtype=np.float64)
    if found.shape != (group.width,):
        raise ValueError(
            f"A criterion returns one score per channel. Expected from {criterion!r} for "
            f"layer {group.name!r} the shape ({group.width},). Received: {found.shape}."
        )
    if np.isnan(found).any():
        raise ValueError(
            f"{criterion!r} returned NaN for layer {group.name!r}. Check its weights, and the "
            "data, for NaN."
        )
    return found


def score_groups(
    chosen: Iterable[ChannelGroup],
    criterion: Criterion,
    statistics: dict[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Scores every channel of the chosen groups.

    Args:
        chosen: the groups.
        criterion: what to score by.
        statistics: per group the mean of the criterion's statistic, for a criterion on data.

    Returns:
        Group name to array `(width,)`.

    Raises:
        ValueError: when the criterion returns another shape, or NaN.
    """
    scores = {}
    for group in chosen:
        evidence = ChannelEvidence(group, None if statistics is None else statistics[group.name])
        scores[group.name] = checked_scores(criterion, evidence)
    return scores
