"""Functions of `keras.ops` go by the names that the graph gives them, and are what their rules say.

The table of rules is keyed by name, so a misspelt one would never be found.
"""

import inspect

import keras
import numpy as np
import pytest

from keras_snare.graph import trace
from keras_snare.graph.rules import OPERATIONS
from keras_snare.graph.trace import function_name

ops = keras.ops
SHAPE = (3, 4)
INTEGERS = "bitwise_ gcd lcm ldexp left_shift right_shift".split()
# Keras records these under the name of the function that they stand for.
SAME_AS = {"abs": "absolute", "conj": "conjugate"}

# What the functions need beside one tensor, or two where they are of two.
CALLS = {
    "array_split": lambda x: ops.array_split(x, 2, 1),
    "broadcast_to": lambda x: ops.broadcast_to(x, (2, 3, 4)),
    "cast": lambda x: ops.cast(x, "float64"),
    "concatenate": lambda x: ops.concatenate([x, x], 1),
    "einsum": lambda x: ops.einsum("abc,abd->acd", x, x),
    "expand_dims": lambda x: ops.expand_dims(x, 1),
    "get_item": lambda x: x[:, 1],
    "matmul": lambda x: ops.matmul(x, np.ones((4, 2), "float32")),
    "moments": lambda x: ops.moments(x, 1),
    "moveaxis": lambda x: ops.moveaxis(x, 1, 2),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 0))),
    "repeat": lambda x: ops.repeat(x, 2, 1),
    "reshape": lambda x: ops.reshape(x, (-1, 12)),
    "roll": lambda x: ops.roll(x, 1, 1),
    "saturate_cast": lambda x: ops.saturate_cast(x, "float16"),
    "split": lambda x: ops.split(x, 3, 1),
    "squeeze": lambda x: ops.squeeze(ops.expand_dims(x, 1), 1),
    "stack": lambda x: ops.stack([x, x]),
    "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "threshold": lambda x: ops.threshold(x, 0.5, 0.0),
    "tile": lambda x: ops.tile(x, [1, 2, 1]),
    "unstack": lambda x: ops.unstack(x, axis=1),
    "where": lambda x: ops.where(x, x, x),
}
# Rules are told apart by the name of one of their functions.
UNARY = [name for name, rule in OPERATIONS.items() if rule is OPERATIONS["tanh"]]
BINARY = [name for name, rule in OPERATIONS.items() if rule is OPERATIONS["maximum"]]
ALONG = [name for name, rule in OPERATIONS.items() if rule is OPERATIONS["softmax"]]
REDUCING = [name for name, rule in OPERATIONS.items() if rule is OPERATIONS["sum"]]


def known(names):
    """Those that this release of Keras has; layers of its applications are capitalised."""
    return [name for name in names if name[0].islower() and hasattr(ops, name)]


def is_of_integers(name):
    return any(part in name for part in INTEGERS)


def call(name, tensor):
    """Calls a function on a tensor, twice where it is of two."""
    if name in CALLS:
        return CALLS[name](tensor)
    function = getattr(ops, name)
    parameters = inspect.signature(function).parameters.values()
    needed = [one for one in parameters if one.default is inspect.Parameter.empty]
    return function(*[tensor] * len(needed))


def recorded(name):
    """What the graph records when a function is called on a symbolic tensor."""
    inputs = keras.Input(SHAPE, dtype="int32" if is_of_integers(name) else "float32")
    return trace(keras.Model(inputs, call(name, inputs))).calls[-1].operation


@pytest.mark.parametrize("name", known(OPERATIONS))
def test_graph_calls_a_function_by_its_name(name):
    assert function_name(recorded(name)) == SAME_AS.get(name, name)


@pytest.mark.parametrize(("name", "other"), SAME_AS.items(), ids=SAME_AS)
def test_two_names_of_one_function_have_one_rule(name, other):
    assert OPERATIONS[name] is OPERATIONS[other]


def test_a_layer_is_no_function():
    assert function_name(keras.layers.ReLU()) is None


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (lambda x: -x, "negative"),
        (lambda x: x + 1, "add"),
        (lambda x: 1 - x, "subtract"),
        (lambda x: x * x, "multiply"),
        (lambda x: x / 2, "true_divide"),
        (lambda x: x // 2, "floor_divide"),
        (lambda x: x % 2, "mod"),
        (lambda x: x**2, "power"),
        (lambda x: x > 0, "greater"),
        (lambda x: x <= 0, "less_equal"),
        (lambda x: x != 0, "not_equal"),
        (lambda x: abs(x), "absolute"),
        (lambda x: x @ np.ones((4, 2), "float32"), "matmul"),
        (lambda x: x[:, 1:], "get_item"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_operators_are_functions_too(operator, name):
    inputs = keras.Input(SHAPE)
    (found,) = trace(keras.Model(inputs, operator(inputs))).calls
    assert function_name(found.operation) == name
    assert name in OPERATIONS


def values(name, seed):
    """Numbers that every function is defined for and that no two of it are equal for."""
    random = np.random.default_rng(seed)
    if is_of_integers(name):
        return random.integers(1, 5, (2, *SHAPE)).astype("int32")
    if name == "arccosh":
        return random.uniform(1.1, 1.9, (2, *SHAPE)).astype("float32")
    return random.uniform(0.1, 0.9, (2, *SHAPE)).astype("float32")


def changed(name, run, given):
    """Positions of a function's output that change with one channel of its input."""
    other = given.copy()
    other[..., 1] = values(name, 1)[..., 1] + 1
    if name in ("arctanh", "erfinv", "arccos", "arcsin"):
        other[..., 1] = -given[..., 1]
    outputs = [keras.ops.convert_to_numpy(run(ops.array(one))) for one in (given, other)]
    assert outputs[0].shape == given.shape
    return outputs[0] != outputs[1]


# They give one number for whatever they are given, or for most of it.
CONSTANT = """angle ceil floor imag isfinite isinf isnan isneginf isposinf isreal logical_not
ones_like sign signbit trunc zeros_like""".split()


@pytest.mark.parametrize("name", known(UNARY))
def test_elementwise_function_leaves_the_other_channels_alone(name):
    moved = changed(name, lambda x: call(name, x), values(name, 0))
    assert not moved[..., [0, 2, 3]].any()
    assert moved[..., 1].any() or name in CONSTANT


@pytest.mark.parametrize("name", known(BINARY))
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_function_of_two_tensors_leaves_the_other_channels_alone(name, first):
    constant = ops.array(values(name, 2))

    def run(tensor):
        pair = (tensor, constant) if first else (constant, tensor)
        if name == "where":
            return ops.where(tensor > 0.5, *pair)
        return getattr(ops, name)(*pair)

    assert not changed(name, run, values(name, 0))[..., [0, 2, 3]].any()


@pytest.mark.parametrize("name", known(ALONG))
def test_function_along_an_axis_leaves_other_channels_alone_along_another(name):
    def run(tensor):
        return ops.roll(tensor, 1, axis=1) if name == "roll" else getattr(ops, name)(tensor, axis=1)

    assert not changed(name, run, values(name, 0))[..., [0, 2, 3]].any()


@pytest.mark.parametrize("name", known(REDUCING))
def test_reduction_over_another_axis_leaves_the_other_channels_alone(name):
    over = {"axes" if name == "moments" else "axis": 1}

    def run(tensor):
        found = getattr(ops, name)(tensor, **over)
        found = sum(found) if name == "moments" else found
        # As long as it was, to be compared like the others.
        return ops.repeat(ops.expand_dims(found, 1), SHAPE[0], 1)

    assert not changed(name, run, values(name, 0))[..., [0, 2, 3]].any()
