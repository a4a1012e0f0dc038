"""How much passes a unit between two linear layers."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.graph import PRODUCER, READER


class SingularValueCriterion(Criterion):
    """Length of the weights that make a unit, times the length of those that read it.

    Between two layers with the factors of a singular value decomposition, these are the singular
    values of the product. Needs no data.
    """

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        lengths = [
            np.linalg.norm(np.concatenate(channels.weights(role), axis=1), axis=1)
            for role in (PRODUCER, READER)
        ]
        return lengths[0] * lengths[1]
