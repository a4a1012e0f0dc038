"""`fpgm`: how far a unit lies from all others of its layer."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.graph import PRODUCER

_ROWS = 256


class FPGMCriterion(Criterion):
    """Sum of the Euclidean distances from a unit's weights to those of all units of the group.

    Units near the geometric median are those that the others can stand in for, however large their
    weights are. Needs no data. In a group of several layers, the distances in all of them are
    added. Memory grows with the number of units, not with its square.

    Reference:
        He et al., "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks
        Acceleration", CVPR 2019.
    """

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        total = np.zeros(channels.width)
        for weights in channels.weights(PRODUCER):
            squares = np.square(weights).sum(axis=1)
            for start in range(0, channels.width, _ROWS):
                rows = slice(start, start + _ROWS)
                apart = squares[rows, None] + squares - 2 * weights[rows] @ weights.T
                total[rows] += np.sqrt(np.maximum(apart, 0)).sum(axis=1)
        return total
