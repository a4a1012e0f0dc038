"""`obd`: how much the loss would change without the weights of a unit, each by itself."""

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.curvature import check_probes
from keras_snare.criteria.evidence import ChannelEvidence


class OBDCriterion(Criterion):
    """Sum, over the weights and biases that produce a unit, of h · w² / 2 (Optimal Brain Damage).

    h is the second derivative of the mean loss by the weight: an entry of the Hessian's diagonal.
    It is estimated without bias by Hutchinson's method, which assumes nothing of the layers; first
    derivatives are left out, as they vanish in a trained network. Needs labelled data. In a group
    of several layers, the sums of all of them are added.

    With a convex loss, piecewise linear activations such as ReLU, and no layer that is used twice,
    no h is negative. Otherwise it may be, and a score, too: the loss would fall. Such units go
    first. Noise of the estimate may look the same.

    Args:
        probes: int, products with the Hessian per batch of data, each of which takes about as long
            as a training step. None for exact values, by a product per weight.
        seed: int, of the probes.

    Raises:
        ValueError: when one of the two is out of range.

    Reference:
        LeCun et al., "Optimal Brain Damage", NeurIPS 1989.
    """

    needs = "curvature"
    gates = "weights"

    def __init__(self, probes: int | None = 64, seed: int = 0):
        check_probes(probes, seed)
        self.probes = None if probes is None else int(probes)
        self.seed = int(seed)

    def statistic(self, activations, gradients):
        return keras.ops.sum(gradients, axis=1) / 2

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return channels.statistic
