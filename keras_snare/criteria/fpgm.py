"""`fpgm`: how far a unit lies from all others of its layer."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.distances import squared_distances
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.graph import PRODUCER


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
            for units, apart in squared_distances(weights, np.arange(channels.width)):
                total[units] += np.sqrt(apart).sum(axis=1)
        return total
