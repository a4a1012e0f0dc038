"""`taylor`: how much the loss would change without a unit, to first order."""

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence


class TaylorCriterion(Criterion):
    """Mean over the examples of |mean over positions of activation times gradient|.

    The default. With data (`scoring_data`, or `data=` of `prune`) it is exact, example by example,
    except for channels that some weight reads inside of a layer, such as the units of a recurrent
    layer and the heads of an attention layer: they are scored batch by batch, as without data.
    The mean is over the positions of all layers that read the unit.

    Inside `SnareCallback` without such data it is collected from the training step: the sum over a
    batch of activation times gradient follows from the gradients of the weights that read the unit,
    which the step computes anyway, and the batch takes the place of the example.

    Reference:
        Molchanov et al., "Pruning Convolutional Neural Networks for Resource Efficient Inference",
        ICLR 2017; the form per batch: "Importance Estimation for Neural Network Pruning", CVPR
        2019.
    """

    needs = "gradients"
    live = True

    def statistic(self, activations, gradients):
        return keras.ops.abs(keras.ops.mean(activations * gradients, axis=1))

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        return channels.statistic
