"""Whether an optimizer treats each weight by itself."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_snare.surgery.optimizers import optimizers_of

# What becomes of a weight depends on its own gradient, its own slots and on scalars.
_ELEMENTWISE = {
    keras.optimizers.Adadelta,
    keras.optimizers.Adagrad,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Adamax,
    keras.optimizers.Ftrl,
    keras.optimizers.Lion,
    keras.optimizers.LossScaleOptimizer,
    keras.optimizers.Nadam,
    keras.optimizers.RMSprop,
    keras.optimizers.SGD,
}


def is_elementwise(optimizer: Any, variables: Iterable[Any]) -> bool:
    """Returns whether the gradient of one weight has no effect on what becomes of the others.

    Known of Keras's own optimizers, not of classes derived from them. Clipping by a norm ties the
    weights together, and so may a constraint on a variable.

    Args:
        optimizer: an optimizer, or None.
        variables: those that are looked at for constraints.
    """
    found = list(optimizers_of(optimizer))
    known = all(type(one) in _ELEMENTWISE for one in found)
    clips = any(one.clipnorm or one.global_clipnorm for one in found)
    free = all(one.constraint is None for one in variables)
    return bool(found) and known and not clips and free
