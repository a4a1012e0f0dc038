"""Integers come out of the coder as they went in, and what is likely costs next to nothing."""

import numpy as np
import pytest

from keras_snare import CodecError
from keras_snare.codec import coded_bytes
from keras_snare.codec.entropy import read_integers, write_integers

SHAPES = {
    "empty": ((0, 3), None),
    "scalar": ((), None),
    "one": ((1,), None),
    "bias": ((70,), None),
    "dense": ((31, 9), None),
    "dense on a grid": ((48, 7), (4, 4, 3)),
    "dense on a line": ((48, 7), (48,)),
    "convolution": ((3, 3, 2, 11), (3, 3)),
    "depthwise": ((3, 3, 5, 1), (3, 3)),
    "many lines": ((5000, 1), None),
    "grid alone": ((6, 6), (6, 6)),
}


@pytest.mark.parametrize("scale", [0.2, 1e6])
@pytest.mark.parametrize(("shape", "grid"), SHAPES.values(), ids=SHAPES)
def test_integers_come_back(shape, grid, scale):
    rng = np.random.default_rng(0)
    integers = np.rint(rng.laplace(size=shape) * scale).astype(np.int64)
    content = write_integers(integers, grid)
    np.testing.assert_array_equal(read_integers(content, shape, grid), integers)
    assert abs(len(content) - coded_bytes(integers, grid)) < 8 + 0.01 * len(content)


def test_extremes_come_back():
    integers = np.array([[2**30, -(2**30), 0, 1], [-1, 0, 0, 0]])
    np.testing.assert_array_equal(read_integers(write_integers(integers), integers.shape), integers)


def test_zeros_cost_next_to_nothing():
    integers = np.zeros((196, 128), np.int64)
    assert coded_bytes(integers, (14, 14)) < 12
    integers[:, 50] = np.arange(196) % 5 - 2
    # Less than a byte for each of the numbers in the column, and nothing for those beside it.
    assert coded_bytes(integers, (14, 14)) < 196


def test_damaged_integers_are_refused():
    rng = np.random.default_rng(0)
    for number in range(50):
        content = rng.bytes(40)
        try:
            found = read_integers(content, (6, 5))
        except CodecError:
            continue
        assert found.shape == (6, 5), number
