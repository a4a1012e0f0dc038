"""`activation`: how active a unit is on data."""

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence


class ActivationCriterion(Criterion):
    """Mean over the examples of a unit's absolute activation, added up over its positions.

    The activation is taken where the next layers read it: behind activation function,
    normalisation and pooling. What several layers read, as in a residual network, is added up.
    Needs data, but no labels.

    Reference:
        Viehmann, master thesis, KIT 2020 (section 3.2.3).
    """

    needs = "activations"

    def statistic(self, activations, gradients):
        return keras.ops.sum(keras.ops.abs(activations), axis=1)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return channels.statistic
