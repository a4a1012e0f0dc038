"""`l1_both`: how much weight produces a unit or reads it."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.l1_in import absolute_sum
from keras_snare.graph import PRODUCER, READER


class L1BothCriterion(Criterion):
    """Sum of the absolute weights that produce a unit or filter and of those that read it.

    Needs no data.

    Reference:
        Viehmann, master thesis, KIT 2020 (value-based criterion 3).
    """

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return absolute_sum(channels, PRODUCER) + absolute_sum(channels, READER)
