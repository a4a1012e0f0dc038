"""Several criteria as one."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import is_number
from keras_snare.criteria.base import NEEDS, Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.known import get_criterion
from keras_snare.criteria.normalization import Normalization, get_normalization, normalized
from keras_snare.criteria.scoring import checked_scores


class CombineCriterion(Criterion):
    """Weighted sum of the scores of several criteria.

    Each criterion measures in a unit of its own, so its scores are normalised first, group by
    group: with `"mean"` they are divided by the mean of their absolute values, so that a part
    counts by its weight alone; with `"rank"` only their order counts. Parts may need different
    things: each that looks at data gets a pass of its own. Inside `SnareCallback`, `scoring_data`
    are asked for if one of the parts needs them there.

    If exactly one part merges units, as `similarity` does, a unit that goes is merged into the one
    that this part names; if several would, none is merged.

    Args:
        parts: mapping from names of criteria to weights, numbers above 0; or a list of names or
            criteria, which weigh 1 each, or of pairs of criterion and weight.
        normalize: name of a normalisation, as `prune` takes it, or a function from the scores of a
            group to as many figures.

    Raises:
        ValueError, TypeError: when a part is no criterion, a weight no number above 0, or the
            normalisation unknown.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
    >>> both = keras_snare.CombineCriterion({"l1_in": 1.0, "fpgm": 2.0})
    >>> keras_snare.prune(model, 0.5, criterion=both).params_after
    30
    """

    def __init__(
        self,
        parts: Mapping[str, float] | Iterable[Any],
        *,
        normalize: str | Normalization = "mean",
    ) -> None:
        self.parts = _checked(parts)
        get_normalization(normalize)
        self.normalize = normalize
        self.needs = NEEDS[max(NEEDS.index(part.needs) for part, _ in self.parts)]
        self.live = bool(self.measured) and all(part.live for part in self.measured)

    @property
    def measured(self) -> tuple[Criterion, ...]:
        return tuple(one for part, _ in self.parts for one in part.measured)

    @property
    def kind(self) -> str:
        return f"{type(self).__name__}({', '.join(part.kind for part, _ in self.parts)})"

    def statistic(self, activations: Any, gradients: Any) -> Any:
        found = [one.statistic(activations, gradients) for one in self.measured]
        return keras.ops.stack(found, axis=-1)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        total = np.zeros(channels.width)
        for (part, weight), own in zip(self.parts, self._evidence(channels), strict=True):
            total += weight * normalized(checked_scores(part, own), self.normalize)
        return total

    def twins(self, channels: ChannelEvidence) -> np.ndarray | None:
        pairs = zip(self.parts, self._evidence(channels), strict=True)
        found = [part.twins(own) for (part, _), own in pairs]
        merging = [twins for twins in found if twins is not None]
        return merging[0] if len(merging) == 1 else None

    def _evidence(self, channels: ChannelEvidence) -> list[ChannelEvidence]:
        """What each part sees of the group: of the statistics, which lie side by side, its own."""
        found, end = [], 0
        for part, _ in self.parts:
            begin, end = end, end + len(part.measured)
            own = None if channels.collected is None else channels.collected[:, begin:end]
            if own is not None and part.measured == (part,):
                own = own[:, 0]
            found.append(ChannelEvidence(channels.group, own if part.measured else None))
        return found

    def __repr__(self) -> str:
        return f"CombineCriterion({list(self.parts)!r}, normalize={self.normalize!r})"


def _checked(parts: Any) -> tuple[tuple[Criterion, float], ...]:
    if isinstance(parts, (str, Criterion)) or not isinstance(parts, Iterable):
        raise TypeError(
            "`parts` is a mapping from criteria to weights, such as {'l1_in': 1.0, 'taylor': 2.0}, "
            f"or a list of criteria. Received: {parts!r}"
        )
    pairs = list(parts.items() if isinstance(parts, Mapping) else map(_weighted, parts))
    if not pairs:
        raise ValueError(f"Give one criterion or more to combine. Received: parts={parts!r}")
    for part, weight in pairs:
        if not is_number(weight) or not 0 < weight < math.inf:
            raise ValueError(
                f"The weight of a part is a number above 0. Received: {weight!r} for {part!r}. "
                "Leave the part out, or give a weight."
            )
    return tuple((get_criterion(part), float(weight)) for part, weight in pairs)


def _weighted(part: Any) -> tuple[Any, Any]:
    return part if isinstance(part, tuple) and len(part) == 2 else (part, 1.0)
