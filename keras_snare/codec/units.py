"""What errors in statistics are measured by: the smallest spread that a layer divides by."""

import keras
import numpy as np

from keras_snare.codec.writing import Variable
from keras_snare.graph.trace import parts_of


def units_of(model: keras.Model) -> dict[int, float]:
    """Returns what errors in means and variances are measured by, by the id of the variable.

    A normalization divides each channel by its spread. So an error that is small beside the large
    variances, and not beside the smallest, would ruin the channel that has this one.

    Args:
        model: Keras model.

    Returns:
        The smallest variance, with what the layer adds to it, by the id of the variances; its
        square root by that of the means. None of variances that are not positive numbers.
    """
    found = {}
    for layer in parts_of(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            parts = layer.moving_mean, layer.moving_variance
            smallest = _smallest(parts[1]) + layer.epsilon
        elif isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            parts = layer.adapt_mean, layer.adapt_variance
            smallest = max(_smallest(parts[1]), keras.config.epsilon() ** 2)
        else:
            continue
        if 0 < smallest < np.inf:
            found[id(parts[0])], found[id(parts[1])] = smallest**0.5, smallest
    return found


def _smallest(variable) -> float:
    return float(np.min(Variable.of(variable).value.astype(np.float64), initial=np.inf))
