"""Sums and products of tensors: constants are no flow, and products are kept in proportion."""

from typing import Any

import keras

from keras_snare.criteria.flow.table import carries_flow, function, layer, value_of
from keras_snare.graph.opening import replaced


@function("add", "subtract")
def added(operation, call, one, other):
    return keras.ops.add(_without_constant(one), _without_constant(other))


@function("fmax", "fmin", "maximum", "minimum")
def greater_or_less(operation, call, one, other):
    """None of two tensors is preferred: a unit would be left without any flow."""
    both = carries_flow(one) and carries_flow(other)
    return added(operation, call, one, other) / (2 if both else 1)


@layer(keras.layers.Subtract)
def difference_of_layers(operation, call, inputs):
    return inputs[0] + inputs[1]


@layer(keras.layers.Maximum, keras.layers.Minimum)
def greatest_or_least(operation, call, inputs):
    return sum(inputs[1:], inputs[0]) / len(inputs)


@function("where")
def chosen(operation, call, condition, one=None, other=None):
    return call(condition, _without_constant(one), _without_constant(other))


@function("divide", "divide_no_nan", "true_divide")
def divided(operation, call, one, other):
    """What a flow is divided by lets it pass in proportion."""
    if not carries_flow(one):
        return call(one, other)
    return one / (keras.ops.ones_like(other) if carries_flow(other) else keras.ops.abs(other))


@layer(keras.layers.Multiply)
def product_of_layers(operation, call, inputs):
    return in_proportion(call(inputs), inputs)


@layer(keras.layers.Dot)
def inner_product(operation, call, inputs):
    with replaced(operation, "normalize", False):
        return in_proportion(call(inputs), inputs)


@function("dot", "einsum", "inner", "matmul", "multiply", "outer", "tensordot", "vdot")
def product(operation, call, *operands, **kwargs: Any):
    operands = [one if isinstance(one, str) else _positive(one) for one in operands]
    return in_proportion(call(*operands, **kwargs), [one for one in operands if carries_flow(one)])


def in_proportion(result, factors):
    """Divides a product so that it grows as one factor does, not as all of them together.

    The divisor is a constant: each factor has the whole flow of the product, as each weight on a
    path has the whole flow of the path.
    """
    means = [keras.ops.mean(one) for one in factors]
    for mean in means if len(means) > 1 else ():
        divisor = keras.ops.stop_gradient(mean) ** (1 - 1 / len(means))
        result = keras.ops.divide_no_nan(result, divisor)
    return result


def _without_constant(value):
    return value_of(value) if carries_flow(value) else keras.ops.zeros_like(value)


def _positive(value):
    return value_of(value) if carries_flow(value) else keras.ops.abs(value)
