"""`obd`: how much the loss would change without the weights of a unit, each by itself."""

from typing import Literal

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.curvature import check_probes
from keras_snare.criteria.evidence import ChannelEvidence


class OBDCriterion(Criterion):
    """Sum, over the weights and biases that produce a unit, of h · w² / 2 (Optimal Brain Damage).

    h is the second derivative of the mean loss by the weight; first derivatives are left out, as
    they vanish in a trained network. Needs labelled data. In a group of several layers, the sums of
    all of them are added.

    With `curvature="gauss_newton"`, what the loss bends with the outputs is carried back, without
    what the network itself bends (the Levenberg-Marquardt approximation of the paper). h is never
    negative then, and its noise small; with activations such as ReLU, a convex loss without
    regularisation, and no layer that is used twice, it is that of the Hessian. A loss that is
    neither a cross-entropy nor one by single numbers costs a matrix of the outputs' width for every
    example.

    With `"hessian"` h is an entry of the Hessian's diagonal, without bias whatever the network, and
    noisy: it may be negative, by itself or by noise, and such units go first.

    Args:
        probes: int, random vectors per batch of data, each of which takes about as long as a
            training step. None for exact values, by a vector for each output of each example, or
            for each weight.
        seed: int, of the probes.
        curvature: `"gauss_newton"` or `"hessian"`.

    Raises:
        ValueError: when one of the three is out of range.

    Reference:
        LeCun et al., "Optimal Brain Damage", NeurIPS 1989.
    """

    needs = "curvature"
    gates = "weights"

    def __init__(
        self,
        probes: int | None = 64,
        seed: int = 0,
        curvature: Literal["hessian", "gauss_newton"] = "gauss_newton",
    ) -> None:
        check_probes(probes, seed, curvature)
        self.curvature = curvature
        self.probes = None if probes is None else int(probes)
        self.seed = int(seed)

    def statistic(self, activations, gradients):
        return keras.ops.sum(gradients, axis=1) / 2

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return channels.statistic
