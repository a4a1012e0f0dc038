"""Which activation functions keep channels apart."""

import keras

from keras_snare.graph.channels import AxisLabels
from keras_snare.graph.view import CallView

_ELEMENTWISE = (
    "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu "
    "linear log_sigmoid mish relu relu6 selu sigmoid silu soft_shrink softplus softsign "
    "sparse_plus squareplus swish tanh tanh_shrink threshold"
).split()
_SEPARATE = {
    getattr(keras.activations, name) for name in _ELEMENTWISE if hasattr(keras.activations, name)
}
# By name, since the package is never imported.
_KERAS_HUB = {"keras_hub.src.utils.keras_utils.gelu_approximate"}


def separates_channels(function) -> bool:
    """Tells whether a function is known to compute each element from that element alone."""
    if function is None:
        return True
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
    try:
        return function in _SEPARATE or name in _KERAS_HUB
    except TypeError:
        return False


def activated(view: CallView, function, axes: AxisLabels) -> AxisLabels:
    """Labels behind an activation function: frozen unless it keeps channels apart."""
    if not separates_channels(function):
        name = getattr(function, "__name__", type(function).__name__)
        view.space.freeze_all(axes, f"activation {name!r} of {view.name} may mix units")
    return axes
