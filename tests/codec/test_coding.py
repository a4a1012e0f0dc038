"""Numbers as integers and back: the transform is orthonormal, and exact in its sums."""

import tracemalloc

import numpy as np
import pytest

from keras_snare import CodecError
from keras_snare.codec import Coding, from_integers, to_integers
from keras_snare.codec.transforms import exact_values, integer_cosines
from keras_snare.layers.cosines import cosines, spectrum

SHAPES = {
    "dense on a picture": ((36, 5), (6, 6)),
    "dense on channels": ((48, 5), (4, 4, 3)),
    "dense on a line": ((30, 5), (30,)),
    "convolution": ((5, 3, 2, 4), (5, 3)),
    "convolution along time": ((9, 2, 4), (9,)),
}
each_shape = pytest.mark.parametrize(("shape", "grid"), SHAPES.values(), ids=SHAPES)


@pytest.mark.parametrize("length", [1, 2, 3, 28, 121])
def test_cosines_are_rounded_to_the_nearest_integer(length):
    exact = cosines(length) * 2.0**24
    assert np.abs(integer_cosines(length, 24) - exact).max() < 0.5 + 1e-6


@each_shape
@pytest.mark.parametrize("transform", ["none", "dct"])
def test_numbers_come_back_to_half_a_step(transform, shape, grid):
    values = np.random.default_rng(0).normal(size=shape)
    coding = Coding(transform, grid, 0.01)
    found = from_integers(to_integers(values, coding), coding, shape, "float32")
    assert found.dtype == np.float32
    # Rounding errors are as large together before the transform as after it.
    assert np.sqrt(np.mean((found - values) ** 2)) < 0.01 * 0.32


@each_shape
def test_sums_are_exact(shape, grid):
    integers = np.random.default_rng(0).integers(-1000, 1000, shape)
    found, power = exact_values(integers, grid)
    bits = power // len(grid[:2])
    expected = integers.astype(object).reshape(*grid[:2], -1)
    for axis, length in enumerate(grid[:2]):
        basis = integer_cosines(length, bits).astype(np.int64).astype(object)
        expected = np.moveaxis(np.tensordot(basis, expected, (1, axis)), 0, axis)
    assert (found.astype(object).reshape(-1) == expected.reshape(-1)).all()
    assert np.abs(expected).max() < 2**53
    np.testing.assert_allclose(spectrum(found / 2.0**power, grid), integers, atol=0.05)


def test_a_long_line_takes_up_little_memory():
    tracemalloc.start()
    try:
        exact_values(np.ones((2048, 1), np.int64), (2048,))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_step_has_eight_binary_digits():
    steps = [Coding(step=step).step for step in (0.1, 1.0, 1.003, 3e-5)]
    assert steps[1:3] == [1.0, 1.0]
    assert all(np.float32(step).view(np.uint32) % 2**16 == 0 for step in steps)
    np.testing.assert_allclose(steps, [0.1, 1.0, 1.003, 3e-5], rtol=2**-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"transform": "fft"}, "one of"),
        ({"transform": "dct"}, "needs the grid"),
        ({"grid": (2, 2, 2, 2)}, r"\(height, width, channels\)"),
        ({"grid": (0,)}, "Received: grid="),
        ({"step": 0.0}, "positive number"),
        ({"step": float("nan")}, "positive number"),
    ],
)
def test_wrong_codings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Coding(**arguments)


def test_values_that_do_not_suit_are_refused():
    with pytest.raises(ValueError, match="leading features"):
        to_integers(np.zeros((9, 2)), Coding("dct", (2, 4), 1.0))
    with pytest.raises(ValueError, match="larger step"):
        to_integers(np.array([1e9]), Coding(step=0.1))
    with pytest.raises(ValueError, match="larger step"):
        to_integers(np.array([np.inf]), Coding())
    with pytest.raises(ValueError, match="transformed back exactly"):
        to_integers(np.random.default_rng(0).normal(size=784) * 1e7, Coding("dct", (28, 28)))
    with pytest.raises(CodecError, match="exactly"):
        exact_values(np.full((784, 1), 2**30), (28, 28))
