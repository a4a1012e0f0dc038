"""`batchnorm_scale`: what the normalisation behind a unit multiplies it by."""

import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.errors import UnsupportedModelError


class BatchNormScaleCriterion(Criterion):
    """Absolute scale (gamma) of the normalisations that a unit or filter passes.

    Needs no data. It ranks well after training with an L1 penalty on the scales
    (`BatchNormalization(gamma_regularizer="l1")`). Scales of several normalisations are added.

    Raises:
        UnsupportedModelError: for units that pass no normalisation with a scale.

    Reference:
        Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017.
    """

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        scales = channels.scales()
        if not scales:
            raise UnsupportedModelError(
                "'batchnorm_scale' ranks units by the scale of the normalisation behind them, and "
                f"behind layer {channels.group.name!r} there is none. Leave the layer out with "
                "`layers=`, or choose another criterion."
            )
        return np.sum([np.abs(scale).sum(axis=1) for scale in scales], axis=0)
