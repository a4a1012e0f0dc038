"""`l1_both`: how much weight produces a unit or reads it."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.l1_in import absolute_sum
from keras_snare.criteria.reduction import check_reduction
from keras_snare.graph import PRODUCER, READER


class L1BothCriterion(Criterion):
    """Sum of the absolute weights that produce a unit or filter and of those that read it.

    Needs no data.

    Args:
        reduction: as for `l1_in`, of the layers that produce, and of those that read, each.

    Raises:
        ValueError, TypeError: when there is no such reduction.

    Reference:
        Viehmann, master thesis, KIT 2020 (value-based criterion 3).
    """

    def __init__(self, reduction: str = "sum") -> None:
        self.reduction = check_reduction(reduction)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        made = absolute_sum(channels, PRODUCER, self.reduction)
        return made + absolute_sum(channels, READER, self.reduction)
