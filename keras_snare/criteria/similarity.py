"""`similarity`: how much a unit differs from the one that can stand in for it."""

from dataclasses import dataclass

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.distances import squared_distances
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import PRODUCER, READER, THROUGH


class SimilarityCriterion(Criterion):
    """Mean square of a unit's outgoing weights times its squared distance to the nearest unit.

    The unit with the lowest product is merged into its nearest: the survivor takes over its
    outgoing weights, so that nothing is lost of a unit that has an exact twin. Pairs are looked at
    again after each merge. The distance is that of everything that makes a unit: incoming weights,
    biases, and the parameters of normalisations behind it. Needs no data. A score is the product
    when the unit's turn came, and at least that of the unit before.

    Memory grows with the number of weights, not with the square of the number of units.

    Reference:
        Srinivas and Babu, "Data-free Parameter Pruning for Deep Neural Networks", BMVC 2015.
    """

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        scores, last = np.zeros(channels.width), 0.0
        order, products, _ = _merges(channels)
        for channel, product in zip(order, products, strict=True):
            scores[channel] = last = max(product, np.nextafter(last, np.inf))
        (survivor,) = set(range(channels.width)) - set(order)
        scores[survivor] = np.nextafter(last, np.inf)
        return scores

    def twins(self, channels: ChannelEvidence) -> np.ndarray:
        return _merges(channels)[2]


@dataclass(eq=False)
class _Nearest:
    """The nearest unit of each, among those that are left.

    Args:
        vectors: array `(units, what makes a unit)`.
    """

    vectors: np.ndarray

    def __post_init__(self) -> None:
        self.left = np.ones(len(self.vectors), dtype=bool)
        self.unit = np.full(len(self.vectors), -1)
        self.distance = np.full(len(self.vectors), np.inf)
        self.look(np.arange(len(self.vectors)))

    def look(self, units: np.ndarray) -> None:
        """Finds the nearest of some units anew."""
        for rows, apart in squared_distances(self.vectors, units):
            apart[:, ~self.left] = np.inf
            apart[np.arange(len(rows)), rows] = np.inf
            self.unit[rows] = apart.argmin(axis=1)
            # What is computed as a difference of squares is not exactly zero for twins.
            self.distance[rows] = np.square(self.vectors[rows] - self.vectors[self.unit[rows]]).sum(
                axis=1
            )

    def remove(self, unit: int, twin: int) -> None:
        """Takes a unit out; those that it was the nearest of find another.

        Args:
            unit: the one that goes.
            twin: the nearest one of it, which an equal unit is as near to.
        """
        self.left[unit] = False
        orphans = self.left & (self.unit == unit)
        if self.distance[unit] == 0:
            # Many units may be equal, as dead ones are: their nearest need not be searched for.
            handed = orphans & (self.distance == 0)
            handed[twin] = False
            self.unit[handed] = twin
            orphans &= ~handed
        if self.left.sum() > 1:
            self.look(np.flatnonzero(orphans))


def _merges(channels: ChannelEvidence) -> tuple[list[int], list[float], np.ndarray]:
    """Merges units until one is left.

    Returns:
        The units in the order in which they went, their products, and per unit the one that it was
        merged into, -1 for the last.
    """
    made = [*channels.arrays(PRODUCER), *channels.arrays(THROUGH)]
    nearest = _Nearest(np.concatenate([np.zeros((channels.width, 1)), *made], axis=1))
    read = channels.weights(READER)
    if not read and channels.group.kind == "frequency":
        raise UnsupportedModelError(
            "Units that are alike can stand in for each other, frequencies cannot. Received: "
            f"criterion='similarity' for {channels.group.name!r}. Choose another criterion, such "
            "as 'l2', or leave them out with `layers=`."
        )
    # Channels that no weight reads count alike.
    outgoing = np.concatenate(read or [np.ones((channels.width, 1))], axis=1)
    strength = np.square(outgoing).mean(axis=1)
    order, products, twins = [], [], np.full(channels.width, -1)
    while len(order) < channels.width - 1:
        found = np.where(nearest.left, strength * nearest.distance, np.inf)
        unit = int(found.argmin())
        twin = int(nearest.unit[unit])
        order.append(unit)
        products.append(float(found[unit]))
        twins[unit] = twin
        outgoing[twin] += outgoing[unit]
        strength[twin] = np.square(outgoing[twin]).mean()
        nearest.remove(unit, twin)
    return order, products, twins
