"""`l1_out`: how much weight reads a unit."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.l1_in import absolute_sum
from keras_snare.criteria.reduction import check_reduction
from keras_snare.graph import READER


class L1OutCriterion(Criterion):
    """Sum of the absolute weights of the next layers that read a unit or filter.

    Needs no data. A unit whose outgoing weights are small matters little, however large its own.
    Channels that no weight reads, since they meet others in a product of tensors, are ranked by the
    weights that make them.

    Args:
        reduction: as for `l1_in`, of several layers that read a unit.

    Raises:
        ValueError, TypeError: when there is no such reduction.

    Reference:
        Viehmann, master thesis, KIT 2020 (value-based criterion 2).
    """

    def __init__(self, reduction: str = "sum") -> None:
        self.reduction = check_reduction(reduction)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return absolute_sum(channels, channels.role(READER), self.reduction)
