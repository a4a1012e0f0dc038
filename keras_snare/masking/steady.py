"""Whether a training step leaves a weight at zero that has no gradient and no history."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_snare.surgery.optimizers import optimizers_of

# Their update is a product with the gradient or with averages of it; decay is one with the weight.
_STEADY = {
    keras.optimizers.SGD,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Adamax,
    keras.optimizers.Nadam,
    keras.optimizers.RMSprop,
    keras.optimizers.Adagrad,
    keras.optimizers.Adadelta,
    keras.optimizers.Lion,
}
# What stands around another optimizer, which is among those looked at.
_WRAPPERS = {keras.optimizers.LossScaleOptimizer}


def leaves_zeros(model, variables: Iterable[Any]) -> bool:
    """Returns whether weights stay at zero in a step, if gradients and slots are zero there.

    Then masking them in every step would change nothing, but costs a pass over all of them. Known
    of some of Keras's own optimizers, not of classes derived from them. A constraint on a weight
    may move it whatever the optimizer does, and so may a training step of the user's.

    Args:
        model: a compiled model.
        variables: the weights.
    """
    found = list(optimizers_of(model.optimizer))
    known = all(type(one) in _STEADY or type(one) in _WRAPPERS for one in found)
    own_step = type(model).train_step is not keras.Model.train_step
    free = all(one.constraint is None for one in variables)
    return bool(found) and known and free and not own_step
