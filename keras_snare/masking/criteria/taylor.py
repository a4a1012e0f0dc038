"""`taylor`: how much the loss would change without a connection, to first order."""

import keras
import numpy as np

from keras_snare.masking.criteria.base import ConnectionCriterion


class TaylorConnectionCriterion(ConnectionCriterion):
    """Mean over batches of |weight times gradient|.

    With data it is measured in inference mode; in a callback without data it is summed up in the
    training step, over the steps since the last update of the masks.

    Reference:
        Molchanov et al., "Importance Estimation for Neural Network Pruning", CVPR 2019; for
        connections, Viehmann, master thesis, KIT 2020, 4.3.
    """

    needs = "data"
    live = True

    def statistic(self, weights, gradients):
        return keras.ops.abs(weights * gradients)

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        return measured
