"""Files that one backend wrote, read by another."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_snare import CodecError, pack, unpack
from keras_snare.codec.unpack import _converted

PROGRAM = """
import sys

import keras
import numpy as np
from keras import layers

from keras_snare import pack, unpack

assert keras.backend.backend() == "jax"
found = unpack(sys.argv[1])
np.savez(sys.argv[2], *found.get_weights(), *[np.asarray(one.value) for one in found.variables])
pack(found, sys.argv[3])
"""


def _values(model) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(one.value)) for one in model.variables]


@pytest.mark.slow
@pytest.mark.parametrize("quality", [None, 60])
def test_files_go_to_another_backend_and_back(quality, tmp_path):
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(5, "relu"), layers.Dropout(0.5), layers.Dense(3), layers.Dropout(0.1)]
    model = keras.Sequential([keras.Input((6,)), *parts])
    there, back, numbers = (tmp_path / name for name in ("there", "back", "numbers.npz"))
    pack(model, there, quality=quality)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, there, numbers, back],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = _values(unpack(there))
    with np.load(numbers) as file:
        found = [file[name] for name in file.files][-len(expected) :]
    assert any(one.dtype != other.dtype for one, other in zip(expected, found, strict=True))
    for one, other, again in zip(expected, found, _values(unpack(back)), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, again)
        assert one.dtype == again.dtype


def test_numbers_are_converted_where_they_stay_the_same():
    whole = np.array([5, 2**32 - 1])
    found = _converted(whole, np.dtype("uint32"), "seed")
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, whole)
    for value, dtype in (
        (np.array([2**32]), "uint32"),
        (np.array([-1]), "uint64"),
        (np.array([2**64 - 1], np.uint64), "int64"),
        (np.array([0.1]), "float32"),
        (np.array([1.0]), "int32"),
    ):
        with pytest.raises(CodecError, match="'seed' that"):
            _converted(value, np.dtype(dtype), "seed")
