"""`batchnorm_scale`: what the normalisation behind a unit multiplies it by."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence, is_scale
from keras_snare.criteria.reduction import check_reduction, over_layers
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import THROUGH


class BatchNormScaleCriterion(Criterion):
    """Absolute scale of the normalisations that a unit or filter passes.

    Needs no data. It ranks well after training with an L1 penalty on the scales
    (`BatchNormalization(gamma_regularizer="l1")`).

    Args:
        reduction: as for `l1_in`, of several normalisations that a unit passes.

    Raises:
        ValueError, TypeError: when there is no such reduction.
        UnsupportedModelError: for units that pass no normalisation with a scale.

    Reference:
        Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017.
    """

    def __init__(self, reduction: str = "sum") -> None:
        self.reduction = check_reduction(reduction)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        if not channels.scales():
            raise UnsupportedModelError(
                "'batchnorm_scale' ranks units by the scale of the normalisation behind them, and "
                f"behind layer {channels.group.name!r} there is none. Leave the layer out with "
                "`layers=`, or choose another criterion."
            )
        return over_layers(channels, THROUGH, _size, self.reduction, is_scale)


def _size(scales: np.ndarray) -> np.ndarray:
    return np.abs(scales).sum(axis=1)
