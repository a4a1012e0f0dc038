"""`l2`: how long the vector of the weights is that produces a unit."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.graph import PRODUCER


class L2Criterion(Criterion):
    """Euclidean norm of the weights that produce a unit or filter; biases are left out.

    Needs no data. In a group of several layers, the weights of all of them make one vector.

    Reference:
        He et al., "Soft Filter Pruning for Accelerating Deep Convolutional Neural Networks", IJCAI
        2018.
    """

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        squares = [np.square(weights).sum(axis=1) for weights in channels.weights(PRODUCER)]
        return np.sqrt(np.sum([np.zeros(channels.width), *squares], axis=0))
