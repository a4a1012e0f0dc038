"""`movement`: whether training moves a weight away from zero."""

import numpy as np

from keras_snare.masking.criteria.base import ConnectionCriterion


class MovementCriterion(ConnectionCriterion):
    """Minus the sum of weight times gradient, over all steps since training began.

    It is high where the descent makes the weight larger. Use it to fine-tune a network that was
    trained for another task, whose large weights need not be the ones that matter now.

    Reference:
        Sanh, Wolf and Rush, "Movement Pruning: Adaptive Sparsity by Fine-Tuning", NeurIPS 2020.
    """

    needs = "data"
    live = True
    cumulative = True

    def statistic(self, weights, gradients):
        return -weights * gradients

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        return measured
