"""What `to_litert` refuses: before anything is written, with the reason and what to do."""

import os
import re

import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.errors import UnsupportedModelError

layers = keras.layers
X = np.random.default_rng(0).random((8, 4), "float32")


def dense(*more):
    return models.chain((4,), layers.Dense(3, name="dense"), *more)


class Opaque(keras.Model):
    def call(self, inputs):
        return inputs if float(np.asarray(inputs).sum()) else inputs + 1


def opaque():
    model = Opaque(name="opaque")
    model(np.ones((2, 4)))
    return model


def quantized(mode):
    model = dense()
    model.layers[0].quantize(mode)
    return model


def strings():
    inputs = keras.Input((1,), dtype="string", name="words")
    return keras.Model(inputs, keras.layers.Lambda(lambda one: one)(inputs))


def assert_refused(error, match, model, path, **settings):
    weights = [np.array(one) for one in model.get_weights()] if hasattr(model, "built") else []
    with pytest.raises(error, match=match):
        keras_snare.to_litert(model, path, **settings)
    if weights:
        assert all(map(np.array_equal, weights, model.get_weights()))


ARGUMENTS = {
    "unknown": (ValueError, r"is one of None, 'float16'.*quantize='int4'", {"quantize": "int4"}),
    "no_text": (ValueError, "Received: quantize=8", {"quantize": 8}),
    "no_data": (
        ValueError,
        "Expected representative_data with quantize='int8'.*Received: none",
        {"quantize": "int8"},
    ),
    "no_data_16": (ValueError, "data with quantize='int16x8'", {"quantize": "int16x8"}),
    "float_with_type": (
        ValueError,
        "With quantize=None, `input_type` is one of None. .*'int8'",
        {"input_type": "int8"},
    ),
    "wrong_type": (
        ValueError,
        "`output_type` is one of 'int16', 'float32', None",
        {"quantize": "int16x8", "representative_data": X, "output_type": "int8"},
    ),
    "tolerance": (ValueError, "`tolerance` is a positive number", {"tolerance": 0}),
    "shape": (
        ValueError,
        r"batches of the model's inputs, \[\(None, 4\)\].*\(8, 3\)",
        {"representative_data": X[:, :3]},
    ),
    "no_batches": (ValueError, "one example. Received: none", {"representative_data": []}),
    "no_examples": (ValueError, "one example. Received: none", {"representative_data": X[:0]}),
    "no_arrays": (
        TypeError,
        "arrays, or what gives batches of them. Received: int",
        {"representative_data": 3},
    ),
}


@pytest.mark.parametrize(("error", "match", "settings"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_wrong_arguments(error, match, settings, tmp_path):
    assert_refused(error, match, dense(), tmp_path / "model.tflite", **settings)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "match", "path"),
    [
        (TypeError, "`path` is the path of a file. Received: 3", 3),
        (TypeError, "Received: ''", ""),
        (NotADirectoryError, "in a folder that is there. Received: .*none", "none/model.tflite"),
        (IsADirectoryError, "of a file. Received: .*a folder. Add a name", "."),
    ],
)
def test_path_that_cannot_be_written(error, match, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused(error, match, dense(), path)
    assert os.listdir(tmp_path) == []


def test_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert_refused(PermissionError, "may be written to", dense(), tmp_path / "model.tflite")


def half():
    return dense(layers.Dense(2, dtype="float16", name="half"))


def unusual():
    return dense(layers.Activation("elu", name="unusual"), layers.Dense(2, name="last"))


MODELS = {
    "not_built": (lambda: keras.Sequential([layers.Dense(2)]), None, "a model that is built"),
    "no_model": (lambda: "model", None, "Expected a Keras 3 model. Received: builtins.str"),
    "subclassed": (opaque, None, "'opaque' is subclassed .*does not run on symbolic inputs"),
    "half": (half, None, "Received: layer 'half'.*whose weights are float16"),
    "int8": (lambda: quantized("int8"), "dynamic", "'dense'.*to int8.*before model.quantize"),
    "float8": (lambda: quantized("float8"), None, "'dense' .*quantized to float8"),
    "strings": (strings, None, "numbers. Received: 'words', which is of strings"),
    "elu": (unusual, "int8", "in float in unusual. Replace these layers"),
    "elu_16": (unusual, "int16x8", "takes with quantize='int16x8'.*ELU"),
    "open_time": (
        lambda: models.chain((None, 4), layers.LSTM(2)),
        "int8",
        "Cannot unroll a RNN if the time dimension is undefined",
    ),
}


@pytest.mark.parametrize(("make", "mode", "match"), MODELS.values(), ids=MODELS)
def test_models_that_are_refused(make, mode, match, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"before")
    model = make()
    data = None
    if mode in ("int8", "int16x8"):
        data = X if len(model.inputs[0].shape) == 2 else X[:, None]
    settings = {"quantize": mode, "representative_data": data}
    assert_refused(UnsupportedModelError, match, model, path, **settings)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.tflite"]


def test_integer_inputs_have_no_place_in_int16x8(tmp_path):
    model = keras.Sequential([keras.Input((4,), dtype="int32", name="ids"), layers.Embedding(3, 2)])
    assert_refused(
        UnsupportedModelError,
        "floats with quantize='int16x8'.*which is int32",
        model,
        tmp_path / "model.tflite",
        quantize="int16x8",
        representative_data=np.zeros((8, 4)),
    )


def test_data_that_fill_no_batch(tmp_path):
    model = keras.Sequential([keras.Input(batch_shape=(9, 4)), layers.Dense(2)])
    match = "in batches of at least 9 examples.*Received: 8"
    assert_refused(ValueError, match, model, tmp_path / "model.tflite", representative_data=X)


def test_model_whose_own_outputs_are_no_numbers_is_told(tmp_path):
    model = dense()
    model.layers[0].bias.assign([np.inf, 0.0, 0.0])
    match = f"outputs that are finite numbers. Received: '{model.name}', of which 'dense'.*weights"
    assert_refused(UnsupportedModelError, match, model, tmp_path / "model.tflite")
    assert os.listdir(tmp_path) == []


class Looped(layers.Layer):
    def call(self, inputs):
        return keras.ops.fori_loop(0, 3, lambda _, value: value * 0.5, inputs)


def test_loop_that_would_end_the_process_is_seen(tmp_path):
    model = dense(Looped(name="looped"))
    assert_refused(
        UnsupportedModelError,
        re.escape("Received: a loop in looped. Compute it without"),
        model,
        tmp_path / "model.tflite",
        quantize="int8",
        representative_data=X,
    )
    report = keras_snare.to_litert(model, tmp_path / "model.tflite", "dynamic")
    assert report.difference < 1e-5
