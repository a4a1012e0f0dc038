"""Functions of keras.ops, operators and slices: as layers of tf_keras, or called as they are."""

import keras
import numpy as np
import pytest
from bridging import assert_close, assert_same, outputs_of

from keras_snare.quantize import to_tf_keras
from keras_snare.quantize.operations import _HELD

ops = keras.ops
VALUES = np.random.default_rng(0).uniform(-1.5, 1.5, (4, 3, 6)).astype("float32")
UNARY = [
    name
    for name, held in _HELD.items()
    if not held
    and name
    not in """add subtract multiply maximum minimum divide true_divide floor_divide mod power equal
    not_equal greater greater_equal less less_equal logical_and logical_or matmul where get_item
    arctan2""".split()
    and hasattr(ops, name)
]

# What is computed of x (3, 6) and y (3, 6), and the class that computes it.
PLAIN = {
    "add": (lambda x, y: x + y, "Add"),
    "subtract": (lambda x, y: x - y, "Subtract"),
    "multiply": (lambda x, y: x * y, "Multiply"),
    "multiply_spread": (lambda x, y: x * keras.layers.MaxPooling1D(3)(y), "Multiply"),
    "square": (lambda x, y: x * x, "Multiply"),
    "maximum": (ops.maximum, "Maximum"),
    "minimum": (ops.minimum, "Minimum"),
    "scaled": (lambda x, y: 3 * x, "Rescaling"),
    "shifted": (lambda x, y: x + np.float32(0.5), "Rescaling"),
    "less": (lambda x, y: x - 2.0, "Rescaling"),
    "from_one": (lambda x, y: 1.0 - x, "Rescaling"),
    "reshape": (lambda x, y: ops.reshape(x, (-1, 9, 2)), "Reshape"),
    "expand_dims": (lambda x, y: ops.expand_dims(x, 2), "Reshape"),
    "transpose": (lambda x, y: ops.transpose(x, (0, 2, 1)), "Permute"),
    "concatenate": (lambda x, y: ops.concatenate([x, y], 1), "Concatenate"),
    "mean": (lambda x, y: ops.mean(x, 1), "GlobalAveragePooling1D"),
    "max": (lambda x, y: ops.max(x, axis=[-2], keepdims=True), "GlobalMaxPooling1D"),
    "sigmoid": (lambda x, y: ops.sigmoid(x), "Activation"),
    "tanh": (lambda x, y: ops.tanh(x), "Activation"),
    "sparse_relu": (lambda x, y: keras.activations.relu(x, max_value=1.0, threshold=0.2), "ReLU"),
    "softmax": (lambda x, y: ops.softmax(x, axis=1), "Softmax"),
}
CALLED = {
    "divide": lambda x, y: x / 3.0,
    "divide_by": lambda x, y: 2.0 / (ops.abs(y) + 1.0),
    "mixed": lambda x, y: x // 0.5 + x % 0.7 + ops.power(ops.abs(x), 1.5) - (-y),
    "constant": lambda x, y: x * np.arange(6, dtype="float32") + np.ones((3, 1), "float32"),
    "fewer_axes": lambda x, y: x + ops.max(y, (1, 2), keepdims=False)[:, None, None],
    "where": lambda x, y: ops.where(ops.logical_and(x > y, y <= 0.5), x, 0.25),
    "equal": lambda x, y: ops.where((x == y) | (x != 1.0), x, y),
    "slices": lambda x, y: x[:, ::2, 1:-1] * y[..., -1:][:, :2],
    "one": lambda x, y: x[:, 1] - x[:, None, 0, ...][:, 0],
    "matmul": lambda x, y: ops.matmul(x, ops.swapaxes(y, 1, 2)),
    "einsum": lambda x, y: ops.einsum("bij,bkj->bik", x, y),
    "clip": lambda x, y: ops.clip(x, -0.5, 1),
    "cast": lambda x, y: ops.cast(ops.cast(x > 0, "int32") * 3, "float32"),
    "reduced": lambda x, y: ops.sum(x, -1) + ops.min(y, 2) + ops.prod(x, 2) + ops.mean(x, 2),
    "spread": lambda x, y: ops.std(x, 1) + ops.var(y, axis=1),
    "places": lambda x, y: ops.argmax(x, -1) - ops.argmin(y, -1),
    "over_examples": lambda x, y: x - ops.mean(x, axis=0, keepdims=True),
    "parts": lambda x, y: ops.concatenate([*ops.split(x, [1, 4], axis=2)][::-1], axis=2),
    "piled": lambda x, y: ops.moveaxis(ops.stack([x, y], axis=1), 1, 3),
    "repeated": lambda x, y: ops.tile(ops.repeat(x, 2, axis=1), (1, 1, 2)),
    "padded": lambda x, y: ops.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=0.5),
    "reflected": lambda x, y: ops.pad(x, ((0, 0), (1, 1), (0, 0)), mode="reflect"),
    "taken": lambda x, y: ops.take(ops.flip(x, 2), [0, 2, 5], axis=-1),
    "gathered": lambda x, y: ops.cumsum(x, axis=1) + ops.arctan2(x, y),
    "squeezed": lambda x, y: ops.squeeze(x[:, :1], 1),
    "of_two_batches": lambda x, y: ops.reshape(x, (-1, 6)),
    "gelu": lambda x, y: ops.gelu(x) + ops.gelu(y, approximate=False),
    "shrunk": lambda x, y: ops.soft_shrink(x, 0.2) + ops.hard_shrink(y, 0.1) + ops.celu(x, 0.7),
    "wide": lambda x, y: ops.cast(ops.cast(x, "float64") / 3.0, "float32"),
    "gated": lambda x, y: (
        ops.glu(x) * ops.log_softmax(x[..., :3], -2) + ops.squareplus(y, 2)[..., :3]
    ),
}


def model_of(compute):
    one, other = keras.Input((3, 6), name="x"), keras.Input((3, 6), name="y")
    # The oldest Keras wants every input to be used.
    return keras.Model([one, other], [compute(one, other), keras.layers.Average()([one, other])])


@pytest.mark.parametrize("name", PLAIN)
def test_function_that_is_a_layer(name):
    compute, kind = PLAIN[name]
    twin = assert_same(model_of(compute), [VALUES, VALUES[::-1].copy()])
    kinds = {type(one).__name__ for one in twin.model.layers}
    assert kinds - {"MaxPooling1D"} == {"InputLayer", "Average", kind}


@pytest.mark.parametrize("name", CALLED)
def test_function_that_is_called(name):
    twin = assert_same(model_of(CALLED[name]), [VALUES, VALUES[::-1].copy()])
    again = type(twin.model).from_config(twin.model.get_config())
    inputs = [VALUES, VALUES[::-1].copy()]
    np.testing.assert_array_equal(again(inputs)[0], twin.model(inputs)[0])


def test_functions_of_one_tensor():
    x = keras.Input((3, 6))
    model = keras.Model(
        x,
        [
            ops.cast(getattr(ops, name)(x > 0 if "logical" in name else x), "float32")
            for name in UNARY
        ],
    )
    assert len(UNARY) > 40
    assert_close(*outputs_of(model, to_tf_keras(model), VALUES))
