"""One number of weights for a whole network, allotted to its layers."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

from keras_snare.arguments import is_number, is_whole
from keras_snare.factorize.factors import Factors, Ranks


def checked_budget(budget: Any) -> None:
    """Checks the argument `budget`.

    Raises:
        ValueError: when it is neither a share nor a count.
    """
    share = is_number(budget) and not is_whole(budget) and 0 < budget < 1
    if not (share or (is_whole(budget) and budget >= 1)):
        raise ValueError(
            "`budget` is the share of the model's parameters that is left, between 0 and 1, or "
            f"their number. Received: budget={budget!r}"
        )


@dataclass(frozen=True, eq=False)
class _Point:
    """Ranks of a layer, the weights that they take, and what they lose, in terms that add up."""

    params: int
    lost: float
    choice: tuple[Factors, Ranks] | None


def allotted(
    ways: list[list[Factors]], most: int, weights: list[float] | None = None
) -> list[tuple[Factors, Ranks] | None]:
    """Allots weights to layers so that little is lost of them all.

    Without `weights` that is the product of the shares of energy that the layers keep, which is to
    be great; with them the sum of the shares that they lose, each times the weight of its layer.

    Every layer begins at rank 1, and the one that then loses least per number is given its next
    rank, as long as there are numbers left.

    Args:
        ways: per layer, the ways that suit it.
        most: numbers in all their kernels together.
        weights: per layer, what a share of its energy is worth, or None.

    Returns:
        Per layer, how it is factorised, or None for a kernel that stays whole.

    Raises:
        ValueError: when rank 1 everywhere has more weights; the message tells how many.

    Reference:
        Zhang et al., "Accelerating Very Deep Convolutional Networks for Classification and
        Detection", TPAMI 2016, section 3.4.
    """
    values = [None] * len(ways) if weights is None else weights
    points = [_points(*one) for one in zip(ways, values, strict=True)]
    hulls = [_hull(one) for one in points]
    found = [hull[0] for hull in hulls]
    left = most - sum(one.params for one in found)
    if left < 0:
        raise ValueError(
            f"Kernels of rank 1 have {most - left:,} weights. Received: a budget that leaves them "
            f"{max(most, 0):,}. Give a larger one, or prune units too."
        )
    steps = [
        (_slope(one, other), number, other)
        for number, hull in enumerate(hulls)
        for one, other in itertools.pairwise(hull)
    ]
    for _, number, point in sorted(steps, key=lambda one: one[:2]):
        found[number], left = _fitting([point], found[number], left)
    for number, every in enumerate(points):  # What is left over is too little for a whole step.
        found[number], left = _fitting(every, found[number], left)
    return [one.choice for one in found]


def _fitting(points: list[_Point], now: _Point, left: int) -> tuple[_Point, int]:
    """The best point that is to be had for what is left, and what is left then."""
    better = [one for one in points if one.params <= now.params + left and one.lost < now.lost]
    best = min(better, default=now, key=lambda one: one.lost)
    return best, left - (best.params - now.params)


def _points(ways: list[Factors], weight: float | None) -> list[_Point]:
    """Every choice that saves weights, and the whole kernel."""
    size = ways[0].kernel.size
    points = [_Point(size, 0.0, None)]
    for way in ways:
        smaller = [one for one in way.tried() if way.params(one) < size]
        points += [_Point(way.params(one), _lost(way, one, weight), (way, one)) for one in smaller]
    return points


def _hull(points: list[_Point]) -> list[_Point]:
    """Choices from the smallest to the whole kernel; each gains less per weight than before."""
    hull: list[_Point] = []
    for point in sorted(points, key=lambda one: (one.params, one.lost)):
        if hull and (point.params == hull[-1].params or point.lost >= hull[-1].lost):
            continue
        while len(hull) > 1 and _slope(hull[-2], point) <= _slope(hull[-2], hull[-1]):
            hull.pop()
        hull.append(point)
    return hull


def _lost(way: Factors, ranks: Ranks, weight: float | None) -> float:
    lost = way.lost(ranks)
    return -math.log(max(1 - lost, 1e-300)) if weight is None else weight * lost


def _slope(one: _Point, other: _Point) -> float:
    """What is lost less, negative, per weight."""
    return (other.lost - one.lost) / (other.params - one.params)
