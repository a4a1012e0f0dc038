"""`pack` and `unpack` where JAX computes, whose base of all layers has the name of a wrapper."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys

import keras
import numpy as np

from keras_snare import CodecError, pack, unpack
from keras_snare.codec.classes import check_classes

assert keras.backend.backend() == "jax"
parts = [keras.layers.Dense(5, "relu"), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
model = keras.Sequential([keras.Input((4,)), *parts])
pack(model, sys.argv[1])
x = np.random.default_rng(0).random((8, 4)).astype("float32")
found = unpack(sys.argv[1]).predict(x, verbose=0)
np.testing.assert_array_equal(found, model.predict(x, verbose=0))


class Own(keras.layers.JaxLayer):
    pass


Own.__module__, keras.layers.Own = "keras.layers", Own
refused = [
    ("Own", "keras.layers"),
    ("JaxLayer", keras.layers.JaxLayer.__module__),
    ("FlaxLayer", keras.layers.FlaxLayer.__module__),
    *((name, "keras.layers") for name in ("JaxLayer", "FlaxLayer", "Lambda", "StringLookup")),
]
for name, module in refused:
    stated = {"class_name": name, "module": module, "registered_name": None, "config": {}}
    try:
        check_classes(stated)
    except CodecError as error:
        assert "without code" in str(error), error
    else:
        raise AssertionError(f"{name} of {module} was not refused")
"""


@pytest.mark.slow
def test_models_are_packed_and_wrappers_are_refused(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "model.snare")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
