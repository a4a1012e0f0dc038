"""Equal forms of operations that LiteRT would compute in float, or would round where it hurts.

A form is the same function, in operations that LiteRT has for integers, rounded between them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_snare.quantize.rounding.activations import activation_of
from keras_snare.quantize.rounding.numbers import rounded
from keras_snare.quantize.rounding.ranges import Range

layers = keras.layers

LayerForm = Callable[[Any, Any, "Rounding"], Any]
_SQUARES = ("square", "mean_square", "size", "inverse", "normalized")

# By the name of an activation.
ACTIVATION_FORMS: dict[str, Callable] = {}
# By class, each with the names of what is rounded on the way.
LAYER_FORMS: dict[type, tuple[tuple[str, ...], LayerForm]] = {}


@dataclass(frozen=True, eq=False)
class Rounding:
    """Rounds what a form has come to on the way, by name.

    Args:
        ranges: those of the layer.
        training: bool, whether they follow.
    """

    ranges: Mapping[str, Range]
    training: bool

    def __call__(self, name: str, x: Any) -> Any:
        return self.ranges[name](x, self.training)

    def quantum(self, name: str) -> Any:
        """The step in which something that is never below zero is rounded."""
        return ops.convert_to_tensor(self.ranges[name].high) / 255


def activation_form(name: str) -> Callable:
    """Enters the form of an activation; it is given the tensor, and `alpha` where there is one."""

    def enter(form: Callable) -> Callable:
        ACTIVATION_FORMS[name] = form
        return form

    return enter


def layer_form(kind: type, *steps: str) -> Callable:
    """Enters the form of a layer; it is given the layer, its input, and a `Rounding`."""

    def enter(form: LayerForm) -> LayerForm:
        LAYER_FORMS[kind] = steps, form
        return form

    return enter


def steps_of(operation: Any) -> tuple[str, ...]:
    """The names of what is rounded inside of an operation."""
    return LAYER_FORMS[type(operation)][0] if type(operation) in LAYER_FORMS else ()


def call_of(operation: Any, steps: Mapping[str, Range], training: bool) -> Callable | None:
    """Returns what stands in for the `call` of an operation, or None."""
    if type(operation) in LAYER_FORMS:
        form = LAYER_FORMS[type(operation)][1]
        return lambda x: form(operation, x, Rounding(steps, training))
    form = ACTIVATION_FORMS.get(activation_of(operation))
    if form is None or "activation" in vars(operation):
        return None
    given = {"alpha": operation.alpha} if hasattr(operation, "alpha") else {}
    return lambda x: form(x, **given)


@activation_form("elu")
def _elu(x: Any, alpha: float = 1.0) -> Any:
    return ops.relu(x) + alpha * (_exp_below(x) - 1.0)


@activation_form("selu")
def _selu(x: Any) -> Any:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * ops.relu(x) + scale * alpha * (_exp_below(x) - 1.0)


@activation_form("softplus")
def _softplus(x: Any) -> Any:
    # exp would leave every range where x is large.
    far = _exp_below(ops.minimum(x, 0.0) - ops.relu(x))
    return ops.relu(x) + rounded(ops.log(far + 1.0), 0.0, 0.6932)


@activation_form("log_sigmoid")
def _log_sigmoid(x: Any) -> Any:
    return ops.minimum(x, 0.0) - (_softplus(x) - ops.relu(x))


@activation_form("mish")
def _mish(x: Any) -> Any:
    return x * rounded(ops.tanh(_softplus(x)), -1.0, 127 / 128)


def _exp_below(x: Any) -> Any:
    return rounded(ops.exp(ops.minimum(x, 0.0)), 0.0, 1.0)


@layer_form(layers.Rescaling, "scaled")
def _rescaling(layer: Any, x: Any, step: Rounding) -> Any:
    x = ops.cast(x, "float32")  # Images may be of whole numbers.
    return step("scaled", x * _constant(layer.scale)) + _constant(layer.offset)


@layer_form(layers.Normalization, "scaled")
def _normalization(layer: Any, x: Any, step: Rounding) -> Any:
    x = ops.cast(x, "float32")
    deviation = ops.maximum(ops.sqrt(_constant(layer.variance)), keras.backend.epsilon())
    factor = deviation if layer.invert else 1.0 / deviation
    mean = _constant(layer.mean)
    return step("scaled", x * factor) + (mean if layer.invert else -mean * factor)


@layer_form(layers.LayerNormalization, "mean", "centered", "scaled", *_SQUARES)
def _layer_normalization(layer: Any, x: Any, step: Rounding) -> Any:
    axes = keras.tree.flatten(layer.axis)
    mean = step("mean", ops.mean(x, axis=axes, keepdims=True))
    result = _of_unit_size(step("centered", x - mean), axes, layer.epsilon, step)
    if layer.scale:
        result = step("scaled", result * _along(layer.gamma, x, axes))
    return result + _along(layer.beta, x, axes) if layer.center else result


@layer_form(layers.RMSNormalization, *_SQUARES)
def _rms_normalization(layer: Any, x: Any, step: Rounding) -> Any:
    axes = keras.tree.flatten(layer.axis)
    return _of_unit_size(x, axes, layer.epsilon, step) * _along(layer.scale, x, axes)


def _of_unit_size(x: Any, axes: list[int], epsilon: float, step: Rounding) -> Any:
    square = step("square", x * x)
    size = step("mean_square", ops.mean(square, axis=axes, keepdims=True))
    # What is rounded to nothing would be enlarged without bounds.
    size = step("size", ops.maximum(size, step.quantum("mean_square")) + epsilon)
    return step("normalized", x * step("inverse", ops.rsqrt(size)))


def _along(weight: Any, x: Any, axes: list[int]) -> Any:
    """A weight in a shape that fits to the tensor."""
    at = [axis % len(x.shape) for axis in axes]
    return ops.reshape(weight, [size if axis in at else 1 for axis, size in enumerate(x.shape)])


def _constant(value: Any) -> Any:
    return ops.convert_to_tensor(value, "float32")
