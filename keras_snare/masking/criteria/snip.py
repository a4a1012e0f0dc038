"""`snip`: how much the loss of an untrained network depends on whether a connection is there."""

import keras
import numpy as np

from keras_snare.arguments import check_count
from keras_snare.masking.criteria.base import ConnectionCriterion
from keras_snare.masking.criteria.slopes import mean_gradients


class SNIPCriterion(ConnectionCriterion):
    """|weight times gradient of the mean loss|, for a network before its training.

    Unlike `taylor` it takes the gradient over all data first, in training mode, which is how the
    network will be trained. A few hundred examples do; the paper takes one batch.

    Args:
        batch_size: int, for arrays: examples whose statistics batch normalisation takes together.

    Raises:
        ValueError: when `batch_size` is out of range.

    Reference:
        Lee, Ajanthan and Torr, "SNIP: Single-Shot Network Pruning Based on Connection Sensitivity",
        ICLR 2019.
    """

    needs = "data"

    def __init__(self, batch_size: int = 128) -> None:
        check_count("batch_size", batch_size)
        self.batch_size = batch_size

    def measure(self, model: keras.Model, kernels, data):
        return mean_gradients(model, kernels, data, self.batch_size)

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        return np.abs(weights * measured)
