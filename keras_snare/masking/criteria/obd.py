"""`obd`: how much the loss would change without a connection, to second order."""

from typing import Literal

import keras
import numpy as np

from keras_snare.criteria import diagonal_curvature
from keras_snare.criteria.curvature import check_probes
from keras_snare.graph import trace
from keras_snare.masking.criteria.base import ConnectionCriterion


class OBDConnectionCriterion(ConnectionCriterion):
    """h · weight² / 2, with h the second derivative of the mean loss by the weight.

    For a trained network, whose first derivatives vanish. It is taken in inference mode, and data
    are needed.

    With `curvature="gauss_newton"`, what the network itself bends is left out, as the paper does: h
    is never negative, and its noise small; with activations such as ReLU, a convex loss without
    regularisation, and no layer that is used twice, it is that of the Hessian. A loss that is
    neither a cross-entropy nor one by single numbers costs a matrix of the outputs' width for every
    example.

    With `"hessian"` it is an entry of the Hessian's diagonal, by Hutchinson's method without bias
    whatever the network, but noisy: a score may be negative, by noise or not, and such connections
    go first.

    Args:
        probes: int, random vectors per batch of data; each takes about as long as two training
            steps. None for exact values, by a vector for each output of each example, or for each
            weight.
        seed: int, of the probes.
        curvature: `"gauss_newton"` or `"hessian"`.

    Raises:
        ValueError: when one of the three is out of range.

    Reference:
        LeCun, Denker and Solla, "Optimal Brain Damage", NeurIPS 1989.
    """

    needs = "data"

    def __init__(
        self,
        probes: int | None = 64,
        seed: int = 0,
        curvature: Literal["hessian", "gauss_newton"] = "gauss_newton",
    ) -> None:
        check_probes(probes, seed, curvature)
        self.curvature = curvature
        self.probes = probes
        self.seed = seed

    def measure(self, model: keras.Model, kernels, data):
        variables = [one.variable for one in kernels]
        options = {"seed": self.seed, "curvature": self.curvature}
        found = diagonal_curvature(model, trace(model), variables, data, self.probes, **options)
        return {one.name: diagonal for one, diagonal in zip(kernels, found, strict=True)}

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        return measured * weights.astype(np.float64) ** 2 / 2
