"""Units that are chosen in rounds, each on the network as the rounds before it would leave it."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np

from keras_snare.criteria import Criterion, Normalization, score_groups, statistics
from keras_snare.graph import ChannelGroup, ChannelGroups
from keras_snare.policy.one_shot import one_shot
from keras_snare.schedules import Exponential


def in_rounds(
    model: keras.Model,
    groups: ChannelGroups,
    chosen: Iterable[ChannelGroup],
    amount: float,
    criterion: Criterion,
    *,
    rounds: int,
    scope: str,
    normalize: str | Normalization = "rms",
    data: Any = None,
    round_to: int | None = None,
) -> np.ndarray:
    """Chooses the channels to remove; the model is only read.

    In each round the same share of what is left goes, and the rest is scored anew, with zeros in
    the place of all that goes: the scores are those of a cut model, but for criteria that compare
    the units of a layer with each other.

    Args:
        model: the model.
        groups: its channel groups.
        chosen: the groups to cut.
        amount: float, share of the channels that goes in all.
        criterion: what they are ranked by.
        rounds: int.
        scope: as `one_shot` takes it.
        normalize: the same.
        data: for a criterion that looks at data.
        round_to: as `one_shot` takes it, for the last round.

    Returns:
        Array of roots.
    """
    chosen, removed = list(chosen), np.array([], dtype=np.int64)
    for number in range(1, rounds + 1):
        found = None
        with _without(groups, removed):
            if criterion.needs != "weights":
                found = statistics(model, groups, chosen, criterion, data)
            scores = score_groups(chosen, criterion, found)
        for group in chosen:
            gone = np.isin(group.roots, removed)
            scores[group.name] = np.where(gone, -np.inf, scores[group.name])
        share = Exponential().sparsity(number / rounds, amount)
        multiple = round_to if number == rounds else None
        removed = one_shot(chosen, scores, share, scope, multiple, normalize)
    return removed


def _without(groups: ChannelGroups, removed: np.ndarray) -> AbstractContextManager:
    """Has variables hold zeros meanwhile in all that makes, passes or reads the channels `removed`.

    What is read counts as well: a unit whose inputs are all zero may still say something.
    """
    if not removed.size:
        return nullcontext()
    gone = np.zeros(len(groups.roots), dtype=bool)
    gone[removed] = True
    found: dict[int, tuple[Any, np.ndarray]] = {}
    for binding in groups.bindings:
        positions, variable = gone[groups.roots[binding.labels]], binding.variable
        # Normalisations divide by a variance.
        if not positions.any() or variable.name == "moving_variance":
            continue
        _, values = found.setdefault(id(variable), (variable, np.array(variable.numpy())))
        np.moveaxis(values, binding.axis, 0)[positions] = 0
    return keras.StatelessScope(list(found.values()))
