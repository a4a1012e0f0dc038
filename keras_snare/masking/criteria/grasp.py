"""`grasp`: what a connection does for the descent of an untrained network."""

import keras
import numpy as np

from keras_snare.arguments import check_count
from keras_snare.masking.criteria.base import ConnectionCriterion
from keras_snare.masking.criteria.slopes import curvature_along, mean_gradients


class GraSPCriterion(ConnectionCriterion):
    """weight · Hg, with g the gradient of the mean loss and H its Hessian, before training.

    To first order, removing a weight changes gᵀg, the loss that a small step of descent takes off,
    by -2 · weight · Hg. The paper calls -weight · Hg the score and removes the highest; here the
    lowest go, so that the sign is the other one. Data are needed as for `snip`, and the model is in
    training mode; the paper's temperature, by which it divides the logits, is left out.

    Args:
        batch_size: int, for arrays: examples whose statistics batch normalisation takes together.

    Raises:
        ValueError: when `batch_size` is out of range.

    Reference:
        Wang, Zhang and Grosse, "Picking Winning Tickets Before Training by Preserving Gradient
        Flow", ICLR 2020.
    """

    needs = "data"

    def __init__(self, batch_size: int = 128) -> None:
        check_count("batch_size", batch_size)
        self.batch_size = batch_size

    def measure(self, model: keras.Model, kernels, data):
        slopes = mean_gradients(model, kernels, data, self.batch_size)
        return curvature_along(model, kernels, slopes, data, self.batch_size)

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        return weights * measured
