"""`synflow`: how much of what runs from the inputs to the outputs passes a unit."""

import numpy as np

from keras_snare.arguments import check_count
from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence


class SynFlowCriterion(Criterion):
    """Synaptic flow into a unit: the sum of that of the weights that produce it, without any data.

    In a group of several layers, the sums of all of them are added. Use it before training, with
    `SynFlowCallback(structured=True)`, which removes units in many rounds; with `prune`, give
    `normalize="none"`, as flows of all layers compare as they are.

    Args:
        size: int, length of the axes of inputs, batch axis aside, that the model leaves open.

    Raises:
        ValueError: when `size` is out of range.

    Reference:
        Tanaka et al., "Pruning Neural Networks Without Any Data by Iteratively Conserving Synaptic
        Flow", NeurIPS 2020.
    """

    needs = "network"

    def __init__(self, size: int = 128) -> None:
        check_count("size", size)
        self.size = size

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return channels.statistic
