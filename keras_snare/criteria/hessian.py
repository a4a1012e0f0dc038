"""`hessian`: how much the loss would change without a unit, to second order."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.curvature import check_probes
from keras_snare.criteria.evidence import ChannelEvidence


class HessianCriterion(Criterion):
    """Change of the mean loss when a unit is set to zero where it is read, to second order.

    With a gate g on what is read of the unit, 1 now and 0 without it, that is -∂L/∂g + ∂²L/∂g² / 2.
    It looks at the very thing that a cut does: all weights of a unit go together, with what they do
    to one another, and nothing is assumed of the Hessian. `obd` leaves out how weights act
    together, and the mean eigenvalue times the squared norm of the weights, another second-order
    score, puts one number in the place of the unit's whole Hessian. In a trained network the first
    derivative is about zero, so that the second is what tells units apart. Needs labelled data.

    A score may be negative: the loss would fall. Such units go first.

    Args:
        probes: int, products with the Hessian per batch of data, each of which takes about as long
            as a training step. They give an unbiased estimate; exact values where there are no more
            units than probes. None for exact values in any case, by a product per unit.
        seed: int, of the probes.

    Raises:
        ValueError: when one of the two is out of range.

    Reference:
        LeCun et al., "Optimal Brain Damage", NeurIPS 1989, for the expansion; Theis et al., "Faster
        Gaze Prediction with Dense Networks and Fisher Pruning", 2018, for gates on units.
    """

    needs = "curvature"

    def __init__(self, probes: int | None = 64, seed: int = 0) -> None:
        check_probes(probes, seed)
        self.probes = None if probes is None else int(probes)
        self.seed = int(seed)

    def statistic(self, activations, gradients):
        return (gradients / 2 - activations)[:, 0]

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return channels.statistic
