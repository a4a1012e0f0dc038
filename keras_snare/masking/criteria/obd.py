"""`obd`: how much the loss would change without a connection, to second order."""

import numpy as np

from keras_snare.criteria import diagonal_curvature
from keras_snare.criteria.curvature import check_probes
from keras_snare.graph import trace
from keras_snare.masking.criteria.base import ConnectionCriterion


class OBDConnectionCriterion(ConnectionCriterion):
    """h · weight² / 2, with h the second derivative of the mean loss by the weight.

    For a trained network, whose first derivatives vanish. The diagonal of the Hessian is estimated
    without bias by Hutchinson's method, in inference mode, and data are needed. A score may be
    negative, where h is; such connections go first.

    Args:
        probes: int, products with the Hessian per batch of data; each takes about as long as two
            training steps. None for exact values, by as many products as there are weights.
        seed: int, of the probes.

    Raises:
        ValueError: when one of the two is out of range.

    Reference:
        LeCun, Denker and Solla, "Optimal Brain Damage", NeurIPS 1989.
    """

    needs = "data"

    def __init__(self, probes: int | None = 64, seed: int = 0):
        check_probes(probes, seed)
        self.probes = probes
        self.seed = seed

    def measure(self, model, kernels, data):
        variables = [one.variable for one in kernels]
        found = diagonal_curvature(
            model, trace(model), variables, data, self.probes, seed=self.seed
        )
        return {one.name: diagonal for one, diagonal in zip(kernels, found, strict=True)}

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        return measured * weights.astype(np.float64) ** 2 / 2
