"""Numbers that do not suit a step, and files that ask for more than they may."""

import keras
import numpy as np
import pytest

import keras_snare
from keras_snare.codec import Coding
from keras_snare.codec.classes import check_classes
from keras_snare.codec.pack_checks import codings_by_key
from keras_snare.codec.sensitive import SensitiveForms
from keras_snare.codec.sensitivity import Evidence
from keras_snare.codec.writing import Variable
from keras_snare.errors import CodecError

layers = keras.layers
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 3, 40)


def network(**settings):
    parts = [layers.Dense(8, "relu", name="first", **settings), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((4,)), *parts])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def weights_of_the_file(model, path, **settings):
    keras_snare.pack(model, path, **settings)
    return keras_snare.unpack(path).get_weights()


@pytest.mark.parametrize(
    ("dtype", "largest"), [("float16", 65504.0), ("float32", 1e37)], ids=["half", "huge"]
)
def test_numbers_at_the_end_of_their_type_stay_finite(dtype, largest, tmp_path):
    model = network(dtype=dtype)
    model.get_layer("first").kernel.assign(np.linspace(-largest, largest, 32).reshape(4, 8))
    found = weights_of_the_file(model, tmp_path / "m.snare", quality=40)
    assert all(np.isfinite(one).all() for one in found)
    error = np.abs(found[0].astype("float64") - model.get_weights()[0].astype("float64"))
    assert error.max() < largest


def test_a_variable_that_is_not_finite_is_kept_beside_data(tmp_path):
    inputs = keras.Input((4,))
    table = layers.Embedding(6, 3, name="table")
    ids = keras.ops.cast(inputs > 0, "int32")
    flat = layers.Flatten()(table(ids))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(flat))
    model.compile("sgd", "sparse_categorical_crossentropy")
    held = table.embeddings.numpy()
    held[5] = -np.inf
    table.embeddings.assign(held)
    found = weights_of_the_file(model, tmp_path / "m.snare", quality=60, data=(X, Y))
    np.testing.assert_array_equal(found[0], held)


def test_codings_whose_numbers_would_not_be_finite_are_told(tmp_path):
    model = network(dtype="float16")
    kernel = model.get_layer("first").kernel
    kernel.assign(np.linspace(-65000, 65000, 32).reshape(4, 8))
    coding = {kernel.path: Coding("none", None, 40000.0)}
    variables = [Variable.of(one) for one in model.variables]
    given = codings_by_key(coding, variables)
    made = SensitiveForms(variables, {}, given, {}, Evidence({}, {}))
    with pytest.raises(ValueError, match="first/kernel"):
        made.at(50)
    with pytest.raises(ValueError, match="first/kernel"):
        keras_snare.pack(model, tmp_path / "m.snare", codings=coding)
    assert list(tmp_path.iterdir()) == []


def test_codings_that_lose_too_much_are_told(tmp_path):
    model = network()
    codings = {model.layers[0].kernel.path: Coding("none", None, 50.0)}
    with pytest.raises(ValueError, match="Give finer codings"):
        keras_snare.pack(
            model,
            tmp_path / "m.snare",
            max_loss=0.0,
            monitor="loss",
            validation_data=(X, model.predict(X, verbose=0).argmax(1)),
            codings=codings,
        )
    assert list(tmp_path.iterdir()) == []


def test_wrong_batch_size(tmp_path):
    with pytest.raises(ValueError, match="`batch_size` is an integer, 1 or more"):
        keras_snare.pack(network(), tmp_path / "m.snare", batch_size=-3)


def test_constants_and_metrics_are_bounded():
    constant = {"class_name": "__numpy__", "config": {"value": 0, "dtype": "(5000,5000)f8"}}
    for dtype in ("(5000,5000)f8", "U100000000", "S9", "V9", "O", "string"):
        constant["config"]["dtype"] = dtype
        with pytest.raises(CodecError, match="plain type"):
            check_classes({"layers": [constant]})
    constant["config"]["dtype"] = "float8_e4m3fn"
    check_classes({"layers": [constant]})
    metric = {"class_name": "MeanIoU", "module": "keras.metrics", "config": {"num_classes": 4096}}
    check_classes([metric])
    with pytest.raises(CodecError, match="numbers in metrics"):
        check_classes([metric] * 3)
    metric["config"]["num_classes"] = 1e9
    with pytest.raises(CodecError, match="up to 4096"):
        check_classes([metric])


def _stated(count: int, kind: str) -> dict:
    parts = [{"class_name": "ReLU", "module": "keras.layers", "config": {}} for _ in range(count)]
    return {"class_name": kind, "module": "keras", "config": {"layers": parts}}


def test_layers_and_their_calls_are_bounded():
    check_classes(_stated(1900, "Model"))
    with pytest.raises(CodecError, match=r"2000 layers and operations.*Received: 2101"):
        check_classes(_stated(2100, "Model"))
    check_classes(_stated(200, "Sequential"))
    with pytest.raises(CodecError, match="65536 calls of layers"):
        check_classes(_stated(300, "Sequential"))
    called = _stated(50, "Model") | {"inbound_nodes": [{}] * 1500}
    with pytest.raises(CodecError, match="65536 calls of layers"):
        check_classes(called)


@pytest.mark.slow
def test_long_lines_and_large_grids(tmp_path):
    parts = [keras.Input((4200,)), layers.Dense(2, name="long")]
    model = keras.Sequential(parts)
    path = model.get_layer("long").kernel.path
    for grid in ((4200,), (140, 30)):
        found = weights_of_the_file(model, tmp_path / "m.snare", quality=60, grids={path: grid})
        np.testing.assert_allclose(found[0], model.get_weights()[0], atol=0.02)
    model = keras.Sequential([keras.Input((150, 150)), layers.Flatten(), layers.Dense(2)])
    report = keras_snare.pack(model, tmp_path / "m.snare", quality=40)
    again = keras_snare.unpack(tmp_path / "m.snare")
    error = np.abs(again.get_weights()[0] - model.get_weights()[0]).max()
    assert error <= 4 * max(one.step or 0 for one in report.variables)
