"""`l1_in`: how much weight produces a unit."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.graph import PRODUCER


class L1InCriterion(Criterion):
    """Sum of the absolute weights that produce a unit or filter; biases are left out.

    Needs no data. In a group of several layers, the sums of all of them are added.

    Reference:
        Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017.
    """

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return absolute_sum(channels, PRODUCER)


def absolute_sum(channels: ChannelEvidence, role: str) -> np.ndarray:
    """Adds up the absolute weights of a role, per channel."""
    total = np.zeros(channels.width)
    for weights in channels.weights(role):
        total += np.abs(weights).sum(axis=1)
    return total
