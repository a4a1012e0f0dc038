"""Activations: those that tf_keras has under a name, as a layer, or not at all."""

from typing import Any

import keras

from keras_snare.quantize.parts import Part, Untranslated, function
from keras_snare.quantize.stored_call import Tensor
from keras_snare.quantize.table import parts_of_layer, row

# Name in Keras 3 to the name in tf_keras of what is the same there.
SAME = {
    **{
        name: name
        for name in """elu exponential gelu linear mish relu selu sigmoid softmax softplus softsign
        tanh""".split()
    },
    "silu": "swish",
}
AS_LAYER = {
    "relu6": ("ReLU", {"max_value": 6.0}),
    "leaky_relu": ("LeakyReLU", {"alpha": 0.2}),
}
# hard_sigmoid is here, as tf_keras computes something else under that name.
AS_FUNCTION = """celu hard_shrink hard_sigmoid hard_silu hard_tanh log_sigmoid log_softmax
soft_shrink sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink""".split()

_NAMES = {
    getattr(module, name): name
    for module in (keras.activations, keras.ops)
    for name in (*SAME, *AS_LAYER, *AS_FUNCTION)
    # By itself, keras.ops.gelu is another function than keras.activations.gelu.
    if hasattr(module, name) and (module, name) != (keras.ops, "gelu")
}


def activation(layer) -> tuple[str, tuple[Part, ...]]:
    """What the `activation` of a layer becomes.

    Returns:
        The name for tf_keras's argument, and what follows that layer instead.

    Raises:
        Untranslated: when it has no equal.
    """
    given = layer.activation
    if isinstance(given, keras.Layer):
        return "linear", _of_a_layer(given)
    name = _name_of(given)
    return (SAME[name], ()) if name in SAME else ("linear", (_instead(name, f"_{name}"),))


@row(keras.layers.Activation)
def _as_layer(layer) -> tuple[Part, ...]:
    if isinstance(layer.activation, keras.Layer):
        return _of_a_layer(layer.activation)
    name = _name_of(layer.activation)
    if name in SAME:
        return (Part("Activation", {"activation": SAME[name]}),)
    return (_instead(name),)


def _name_of(given: Any) -> str:
    if given is None:
        return "linear"
    if given not in _NAMES:
        raise Untranslated(
            f"its activation {getattr(given, '__name__', given)!r} is none of "
            + ", ".join(sorted(_NAMES.values()))
        )
    return _NAMES[given]


def _instead(name: str, suffix: str = "") -> Part:
    if name in AS_LAYER:
        kind, config = AS_LAYER[name]
        return Part(kind, dict(config), suffix=suffix)
    return function(f"activations.{name}", [Tensor(0)], {}, suffix)


def _of_a_layer(layer) -> tuple[Part, ...]:
    """A layer that is the activation of another one."""
    if layer.weights:
        raise Untranslated(f"its activation is a layer with weights, {type(layer).__name__}")
    parts = parts_of_layer(layer)
    return tuple(
        Part(one.kind, one.config, suffix=f"{one.suffix}_activation", reads=one.reads)
        for one in parts
    )
