"""Activations: which one an operation applies, which are fused, which have ranges of their own."""

from typing import Any

import keras

from keras_snare.graph.trace import function_name

layers = keras.layers

# What LiteRT computes together with the operation before.
FUSED = ("relu", "relu6")

# A function of the user's may have the name of another one.
_KNOWN = [
    (name, getattr(module, name))
    for module in (keras.activations, keras.ops)
    for name in dir(module)
    if callable(getattr(module, name))
]

# What LiteRT returns in these ranges, whatever the data.
FIXED = {
    "softmax": (0.0, 255 / 256),
    "sigmoid": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}


def activation_of(operation: Any) -> str:
    """The name of the function that an operation applies last; `"linear"` where it has none."""
    if isinstance(operation, layers.ReLU):
        plain = not operation.negative_slope and not operation.threshold
        return {None: "relu", 6: "relu6"}.get(operation.max_value, "clipped") if plain else "leaky"
    if isinstance(operation, layers.Softmax):
        return "softmax"
    if isinstance(operation, layers.ELU):
        return "elu"
    if not isinstance(operation, layers.Layer):
        return function_name(operation) or type(operation).__name__.lower()
    activation = vars(operation).get("activation")
    if activation is None:
        return "linear"
    return next((name for name, one in _KNOWN if one is activation), "of its own")


def is_only_activation(operation: Any) -> bool:
    """Tells whether an operation does nothing but apply its function."""
    if isinstance(operation, layers.Layer):
        return isinstance(operation, (layers.Activation, layers.ReLU))
    return activation_of(operation) in FUSED
