"""`apoz`: how often a unit is silent."""

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence


class APoZCriterion(Criterion):
    """Share of the positions and examples at which a unit's activation is not zero.

    One minus the average percentage of zeros (APoZ), so that the lowest score is the most silent
    unit. The positions of all layers that read it count alike. It ranks units behind a ReLU; an
    activation that is never zero makes all units equal. Needs data, but no labels.

    Reference:
        Hu et al., "Network Trimming: A Data-Driven Neuron Pruning Approach towards Efficient Deep
        Architectures", 2016.
    """

    needs = "activations"

    def statistic(self, activations, gradients):
        return keras.ops.mean(keras.ops.cast(activations != 0, "float32"), axis=1)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return channels.statistic
