"""`fisher`: how much the loss would change without a unit, by the Fisher information."""

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence


class FisherCriterion(Criterion):
    """Half of the mean over the examples of (sum over positions of activation times gradient)².

    The second-order change of the loss when a unit is set to zero, with the Fisher information in
    place of the Hessian. All layers that read a unit lose it at once, so that their positions are
    added up. Like `taylor` it is exact with data and collected from the training step
    without, where the batch takes the place of the example.

    Reference:
        Theis et al., "Faster Gaze Prediction with Dense Networks and Fisher Pruning", 2018.
    """

    needs = "gradients"
    live = True

    def statistic(self, activations, gradients):
        return keras.ops.square(keras.ops.sum(activations * gradients, axis=1)) / 2

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return channels.statistic
