"""`l1_out`: how much weight reads a unit."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.l1_in import absolute_sum
from keras_snare.graph import PRODUCER, READER


class L1OutCriterion(Criterion):
    """Sum of the absolute weights of the next layers that read a unit or filter.

    Needs no data. A unit whose outgoing weights are small matters little, however large its own.
    Channels that no weight reads, since they meet others in a product of tensors, are ranked by the
    weights that make them.

    Reference:
        Viehmann, master thesis, KIT 2020 (value-based criterion 2).
    """

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return absolute_sum(channels, READER if channels.group.with_role(READER) else PRODUCER)
