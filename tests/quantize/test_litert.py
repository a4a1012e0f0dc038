"""Files for LiteRT: what they compute, that they are tried, and how the model is left."""

import json
import os
import stat

import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.quantize import converting, litert, trial
from keras_snare.quantize.interpreter import interpreter_of, unallocated

layers = keras.layers
MODES = [None, "float16", "dynamic", "int8", "int16x8"]


def network(act="relu"):
    return models.chain(
        (8, 8, 2),
        layers.Conv2D(6, 3, activation=act, name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.MaxPooling2D(name="pool"),
        layers.Flatten(name="flat"),
        layers.Dense(5, "softmax", name="out"),
    )


def two_ends():
    """Several inputs and outputs, whose names sort otherwise than their order."""
    inputs = {"z in": keras.Input((4,), name="z in"), "a": keras.Input((3,), name="a")}
    both = layers.Concatenate()([inputs["z in"], layers.Dense(4, "tanh")(inputs["a"])])
    outputs = [layers.Dense(2, name="second")(both), layers.Dense(3, name="first")(both)]
    return keras.Model(inputs, outputs)


def tokens():
    inputs = keras.Input((5,), dtype="int32", name="tokens")
    found = layers.GlobalAveragePooling1D()(layers.Embedding(7, 4)(inputs))
    return keras.Model(inputs, layers.Dense(3, name="out")(found))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.last = layers.Dense(4, "gelu"), layers.Dense(2)
        self.drop = layers.Dropout(0.5)

    def call(self, inputs, training=False):
        hidden = self.hidden(inputs["a"]) + inputs["z in"]
        return self.last(self.drop(hidden, training=training))


def subclassed():
    model = Subclassed()
    model({"a": np.ones((2, 3)), "z in": np.ones((2, 4))})
    return model


def mixed():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return network("gelu")
    finally:
        keras.config.set_dtype_policy("float32")


def recurrent():
    return models.chain(
        (4, 3),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.GRU(4),
        layers.Dense(2),
    )


def open_time():
    return models.chain((None, 3), layers.Conv1D(4, 3, activation="relu"), layers.LSTM(3))


def data_for(model, count=24):
    random = np.random.default_rng(0)
    inputs = getattr(model, "inputs", None) or [keras.KerasTensor((None, n)) for n in (3, 4)]
    arrays = [
        random.random((count, *(size or 6 for size in one.shape[1:])), "float32")
        if one.dtype == "float32"
        else random.integers(0, 7, (count, *one.shape[1:]))
        for one in inputs
    ]
    return arrays[0] if len(arrays) == 1 else dict(zip(sorted(("z in", "a")), arrays, strict=True))


def outputs_of(path, report, flat):
    """The file's outputs in Keras's order, for one example."""
    run = unallocated(path.read_bytes()).get_signature_runner("serving_default")
    found = run(**dict(zip(report.inputs, flat, strict=True)))
    return [found[name] for name in report.outputs]


CONVERTED = {
    "convolution": (network, MODES),
    "two_ends": (two_ends, [None, "int8"]),
    "tokens": (tokens, ["dynamic", "int8"]),
    "subclassed": (subclassed, [None, "int8"]),
    "mixed": (mixed, [None, "int8"]),
    "recurrent": (recurrent, [None, "int8", "int16x8"]),
    "open_time": (open_time, [None]),
    "fixed_batch": (
        lambda: keras.Sequential([keras.Input(batch_shape=(2, 3)), layers.Dense(4, "silu")]),
        [None, "int8"],
    ),
}


@pytest.mark.parametrize(
    ("make", "mode"),
    [
        pytest.param(
            make,
            mode,
            marks=[pytest.mark.slow] * (name == "recurrent" and mode != "int8"),
            id=f"{name}-{mode}",
        )
        for name, (make, modes) in CONVERTED.items()
        for mode in modes
    ],
)
def test_file_computes_what_keras_computes(make, mode, tmp_path):
    model, path = make(), tmp_path / "model.tflite"
    data = data_for(model)
    policies = [layer.dtype_policy for layer in model.layers]
    before = model(data)
    report = keras_snare.to_litert(model, path, mode, representative_data=data)

    flat = [one[: report.batch_size].astype("float32") for one in keras.tree.flatten(data)]
    flat = [one.astype("int32") for one in flat] if make is tokens else flat
    found = outputs_of(path, report, flat)
    rounding = 5e-3 if make is mixed else 1e-6
    share = {None: rounding, "float16": 5e-3}.get(mode, 0.15)
    for one, other in zip(keras.tree.flatten(before), found, strict=True):
        one = np.asarray(one, "float32")
        limit = share * np.abs(one).max()
        np.testing.assert_allclose(other, one[: report.batch_size], rtol=0, atol=limit)

    assert report.bytes == path.stat().st_size
    assert report.latency_ms > 0
    assert report.difference <= trial.TOLERANCES[mode]
    assert report.examples >= 16 // report.batch_size
    assert report.representative
    assert [layer.dtype_policy for layer in model.layers] == policies
    assert not any(layer.unroll for layer in model.layers if isinstance(layer, layers.RNN))
    np.testing.assert_array_equal(
        *[np.asarray(keras.tree.flatten(one)[0]) for one in (model(data), before)]
    )
    assert os.listdir(tmp_path) == ["model.tflite"]


@pytest.mark.parametrize(
    ("mode", "kind"), [("int8", "int8"), ("int8", "uint8"), ("int16x8", "int16")]
)
def test_ends_are_of_the_types_asked_for(mode, kind, tmp_path):
    model, path = network(), tmp_path / "model.tflite"
    report = keras_snare.to_litert(
        model,
        path,
        mode,
        representative_data=data_for(model),
        input_type=kind,
        output_type=kind,
    )
    interpreter = interpreter_of(path.read_bytes())
    ends = interpreter.get_input_details() + interpreter.get_output_details()
    assert [one["dtype"] for one in ends] == [np.dtype(kind)] * 2
    assert report.difference < 0.1
    assert not any(
        np.issubdtype(one["dtype"], np.floating) for one in interpreter.get_tensor_details()
    )


def test_cut_model_makes_a_smaller_file(tmp_path):
    model, path = network(), tmp_path / "model.tflite"
    whole = keras_snare.to_litert(model, path)
    keras_snare.prune(model, 0.5, criterion="l1_in")
    less = keras_snare.to_litert(model, path)
    assert less.bytes < whole.bytes == json.loads(whole.to_json())["bytes"]
    flat = [data_for(model)[:1]]
    (found,) = outputs_of(path, less, flat)
    np.testing.assert_allclose(found, model(flat[0]), atol=1e-6)
    assert not whole.representative
    assert "random examples" in str(whole)
    assert f"{less.bytes:,} bytes" in str(less)
    assert "threads: 1" in str(less)


def test_only_what_is_needed_of_a_generator_is_read(tmp_path):
    model, read = network(), []

    def batches():
        while True:
            read.append(1)
            yield data_for(model, 8), np.zeros(8)

    keras_snare.to_litert(model, tmp_path / "m.tflite", "int8", representative_data=batches())
    assert len(read) == 8


def test_wrong_file_is_not_written(tmp_path, monkeypatch):
    """One without weights, as the converter makes of concrete functions, is off, and is told."""
    model, path = network(), tmp_path / "model.tflite"
    path.write_bytes(b"before")
    other = network()
    content = converting.converted
    monkeypatch.setattr(
        litert, "converted", lambda served, *rest: content(litert.served_model(other, None), *rest)
    )
    with pytest.raises(keras_snare.UnsupportedModelError, match="differs from Keras by 2e-05"):
        keras_snare.to_litert(model, path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.tflite"]
    assert keras_snare.to_litert(model, path, tolerance=10).difference > 0.01


def test_conversion_that_dies_leaves_nothing(tmp_path, monkeypatch):
    model = mixed()
    policies = [layer.dtype_policy.name for layer in model.layers]
    monkeypatch.setattr(litert, "tried", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        keras_snare.to_litert(model, tmp_path / "model.tflite")
    assert os.listdir(tmp_path) == []
    assert [layer.dtype_policy.name for layer in model.layers] == policies


def test_report_has_the_mode_of_a_plain_file(tmp_path):
    path = tmp_path / "model.tflite"
    report = keras_snare.to_litert(network(), str(path))
    assert report.path == str(path)
    assert report.quantize is None
    assert stat.S_ISREG(path.stat().st_mode)


def test_small_probabilities_may_be_off_by_their_step(tmp_path):
    """A softmax over many classes has values below 1 / 256, the step that LiteRT gives it."""
    model = models.chain((4,), layers.Dense(150, "softmax"))
    kernel = np.random.default_rng(0).normal(0, 0.4, (4, 150))
    model.set_weights([kernel, np.zeros(150)])
    settings = {"representative_data": np.random.default_rng(0).random((32, 4))}
    report = keras_snare.to_litert(model, tmp_path / "m.tflite", "int8", **settings, tolerance=1e-3)
    assert 0.01 < report.difference < 1


def test_examples_of_several_lengths(tmp_path):
    model, random = open_time(), np.random.default_rng(0)
    batches = [random.random((4, length, 3)) for length in (5, 9, 7)]
    report = keras_snare.to_litert(model, tmp_path / "m.tflite", representative_data=iter(batches))
    assert report.examples == 4
    assert report.difference < 1e-5


@pytest.mark.parametrize("engine", [None, pytest.param("tfmot", marks=pytest.mark.slow), "keras"])
def test_lengths_are_found_for_open_axes(engine, tmp_path):
    """With eight pixels nothing would be left to convolve."""
    convolutions = [layers.Conv2D(4, 3, strides=2) for _ in range(3)]
    pooled = layers.GlobalAveragePooling2D()
    model = models.chain((None, None, 3), *convolutions, pooled, layers.Dense(2))
    path = tmp_path / "model.tflite"
    if engine is None:
        assert keras_snare.to_litert(model, path).difference < 1e-5
        return
    model.compile("sgd", "mse")
    quantize = keras_snare.QuantizeAwareCallback(0, path=path, engine=engine)
    random = np.random.default_rng(0)
    model.fit(random.random((8, 24, 24, 3)), np.zeros((8, 2)), verbose=0, callbacks=[quantize])
    assert path.is_file()


def test_open_axes_that_no_length_suits_ask_for_data(tmp_path):
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.Reshape((7, 3))(inputs)))
    with pytest.raises(ValueError, match="8 to 256 do not do. Give representative_data"):
        keras_snare.to_litert(model, tmp_path / "model.tflite")
