"""`l2`: how long the vector of the weights is that produces a unit."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.reduction import check_reduction, over_layers
from keras_snare.graph import PRODUCER


class L2Criterion(Criterion):
    """Euclidean norm of the weights that produce a unit or filter; biases are left out.

    Needs no data.

    Args:
        reduction: as for `l1_in`; with `"norm"`, the weights of all layers of a group make one
            vector.

    Raises:
        ValueError, TypeError: when there is no such reduction.

    Reference:
        He et al., "Soft Filter Pruning for Accelerating Deep Convolutional Neural Networks", IJCAI
        2018.
    """

    def __init__(self, reduction: str = "norm") -> None:
        self.reduction = check_reduction(reduction)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return over_layers(channels, channels.role(PRODUCER), _length, self.reduction)


def _length(weights: np.ndarray) -> np.ndarray:
    return np.linalg.norm(weights, axis=1)
