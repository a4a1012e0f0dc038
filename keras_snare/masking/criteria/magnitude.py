"""`magnitude`: how large a weight is."""

import numpy as np

from keras_snare.masking.criteria.base import ConnectionCriterion


class MagnitudeCriterion(ConnectionCriterion):
    """The absolute value of the weight. The default.

    Reference:
        Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS
        2015.
    """

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        return np.abs(weights)
