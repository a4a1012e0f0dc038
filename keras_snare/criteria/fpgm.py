"""`fpgm`: how far a unit lies from all others of its layer."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.distances import squared_distances
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.reduction import check_reduction, over_layers
from keras_snare.graph import PRODUCER


class FPGMCriterion(Criterion):
    """Sum of the Euclidean distances from a unit's weights to those of all units of the group.

    Units near the geometric median are those that the others can stand in for, however large their
    weights are. Needs no data. Memory grows with the number of units, not with its square.

    Args:
        reduction: as for `l1_in`, of the sums in the several layers of a group.

    Raises:
        ValueError, TypeError: when there is no such reduction.

    Reference:
        He et al., "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks
        Acceleration", CVPR 2019.
    """

    def __init__(self, reduction: str = "sum") -> None:
        self.reduction = check_reduction(reduction)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return over_layers(channels, channels.role(PRODUCER), _distances, self.reduction)


def _distances(weights: np.ndarray) -> np.ndarray:
    total = np.zeros(len(weights))
    for units, apart in squared_distances(weights, np.arange(len(weights))):
        total[units] = np.sqrt(apart).sum(axis=1)
    return total
