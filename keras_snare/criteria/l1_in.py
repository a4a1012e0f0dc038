"""`l1_in`: how much weight produces a unit."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.reduction import check_reduction, over_layers
from keras_snare.graph import PRODUCER


class L1InCriterion(Criterion):
    """Sum of the absolute weights that produce a unit or filter; biases are left out.

    Needs no data.

    Args:
        reduction: what becomes of the sums of several layers whose units are cut together, as in a
            residual network: `"sum"`, `"mean"`, `"max"`, `"product"` or `"norm"`, the root of the
            sum of squares.

    Raises:
        ValueError, TypeError: when there is no such reduction.

    Reference:
        Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017.
    """

    def __init__(self, reduction: str = "sum") -> None:
        self.reduction = check_reduction(reduction)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return absolute_sum(channels, channels.role(PRODUCER), self.reduction)


def absolute_sum(channels: ChannelEvidence, role: str, reduction: str) -> np.ndarray:
    """Adds up the absolute weights of each layer of a role, per channel, and reduces the sums."""
    return over_layers(channels, role, lambda weights: np.abs(weights).sum(axis=1), reduction)
