"""Trained layers in factors."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from subclassed import own

import keras_snare
from keras_snare.errors import UnsupportedModelError
from keras_snare.factorize.exchanging import exchanged

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 12)).astype("float32")


def alone(shape, layer):
    """A model of one layer with a bias that is not zero."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), layer])
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=one.shape) for one in model.get_weights()])
    return model, random.normal(size=(20, *shape)).astype("float32") + 1


EXACT = {
    "dense": ((9,), lambda: layers.Dense(5, "relu")),
    "wide_dense_on_sequences": ((4, 5), lambda: layers.Dense(9, use_bias=False)),
    "conv_1d_causal": ((9, 4), lambda: layers.Conv1D(6, 3, padding="causal", dilation_rate=2)),
    "conv_1d_strides": ((9, 4), lambda: layers.Conv1D(6, 3, 2, "same", activation="tanh")),
    "conv_2d_valid": ((9, 8, 3), lambda: layers.Conv2D(6, (3, 2), use_bias=False)),
    "conv_2d_strides": ((9, 8, 3), lambda: layers.Conv2D(6, (2, 5), (2, 3), "same")),
    "conv_2d_dilated": ((9, 8, 3), lambda: layers.Conv2D(6, 3, 1, "same", dilation_rate=(2, 1))),
    "conv_2d_one_tap": ((9, 8, 3), lambda: layers.Conv2D(6, 1, 2, activation="relu")),
    "conv_2d_first": ((3, 9, 8), lambda: layers.Conv2D(6, 3, 1, "same", "channels_first")),
    "conv_3d": ((5, 4, 5, 2), lambda: layers.Conv3D(4, 2, (1, 2, 1), "same")),
    "float16": ((9, 8, 3), lambda: layers.Conv2D(6, 3, dtype="mixed_float16")),
}


@pytest.mark.parametrize("method", ["svd", "tucker", "spatial", "auto"])
@pytest.mark.parametrize("kind", EXACT)
def test_at_full_rank_nothing_is_lost(kind, method):
    shape, make = EXACT[kind]
    model, x = alone(shape, make())
    policy = model.layers[0].dtype_policy.name
    expected = keras.ops.convert_to_numpy(model(x))
    close = {"rtol": 0, "atol": (3e-3 if "16" in policy else 1e-5) * np.abs(expected).max()}
    for data in (None, (x[:7],)):
        found = keras_snare.factorize(model, "full", method=method, data=data, batch_size=3)
        np.testing.assert_allclose(found(x), expected, **close)
        assert 2 <= len(found.layers) <= 3
        assert {layer.dtype_policy.name for layer in found.layers} == {policy}
        assert found.layers[-1].name == model.layers[0].name
        (row,) = keras_snare.factorize_report(found).rows
        assert row.params_after == found.count_params()
        assert row.error < 1e-3
        # Loss falls at ranks that are lower, and never more than was said.
        lower = keras_snare.factorize(model, 1, method=method)
        assert keras_snare.factorize_report(lower).rows[0].error > 0.1


@pytest.mark.parametrize("use_bias", [True, False])
def test_svd_is_the_best_of_its_rank_for_the_kernel_and_for_the_outputs(use_bias):
    model, x = alone((12,), layers.Dense(7, use_bias=use_bias, name="one"))
    x = x @ RANDOM.normal(size=(12, 12)).astype("float32")
    kernel = keras.ops.convert_to_numpy(model.layers[0].kernel)
    left, values, right = np.linalg.svd(kernel, full_matrices=False)
    plain = keras_snare.factorize(model, {"one": 2})
    product = keras.ops.convert_to_numpy(plain.layers[0].kernel @ plain.layers[1].kernel)
    np.testing.assert_allclose(product, left[:, :2] * values[:2] @ right[:2], atol=1e-4)
    error = keras_snare.factorize_report(plain).rows[0].error
    assert error == pytest.approx(np.linalg.norm(values[2:]) / np.linalg.norm(values), rel=1e-5)

    outputs = x @ kernel
    middle = outputs.mean(axis=0) if use_bias else np.zeros(7)
    *_, best = np.linalg.svd(outputs - middle, full_matrices=False)
    expected = (outputs - middle) @ best[:2].T @ best[:2] + middle
    found = keras_snare.factorize(model, 2, data=(x,))
    bias = keras.ops.convert_to_numpy(model.layers[0].bias) if use_bias else 0
    np.testing.assert_allclose(found(x), expected + bias, atol=2e-2, rtol=1e-3)


@pytest.mark.parametrize("method", ["svd", "tucker", "spatial"])
def test_with_data_less_is_lost_of_what_a_convolution_computes(method):
    model, _ = alone((8, 8, 6), layers.Conv2D(8, 3, padding="same"))
    mixing = RANDOM.normal(size=(6, 6)) * np.array([5, 2, 1, 0.5, 0.2, 0.1])[:, None]
    x = (RANDOM.normal(size=(30, 8, 8, 6)) @ mixing + 1).astype("float32")
    plain = keras_snare.factorize(model, 0.4, method=method)
    found = keras_snare.factorize(model, 0.4, method=method, data=(x,))
    errors = [np.linalg.norm(one(x) - model(x)) for one in (plain, found)]
    assert errors[1] < 0.9 * errors[0]


def test_error_of_tucker_is_that_of_the_kernel():
    model, _ = alone((8, 8, 6), layers.Conv2D(8, 3, name="one"))
    found = keras_snare.factorize(model, {"one": (3, 4)}, method="tucker")
    first, core, last = (keras.ops.convert_to_numpy(one.kernel) for one in found.layers)
    product = np.einsum("ci,hwio,of->hwcf", first[0, 0], core, last[0, 0])
    kernel = keras.ops.convert_to_numpy(model.layers[0].kernel)
    expected = np.linalg.norm(product - kernel) / np.linalg.norm(kernel)
    assert keras_snare.factorize_report(found).rows[0].error == pytest.approx(expected, rel=1e-4)


def branched(twice):
    """Shared and nested layers, branches, functions and settings of every kind."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12,), name="features")
    settings = {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "trainable": False}
    shared = layers.Dense(12, "relu", name="shared", activity_regularizer="l1", **settings)
    inner = keras.Sequential([keras.Input((12,)), layers.Dense(12, name="deep")], name="inner")
    deeper_inputs = keras.Input((12,))
    deeper = keras.Model(deeper_inputs, inner(deeper_inputs) * 2.0, name="deeper")
    tensor = shared(shared(inputs)) + (inner(inputs) if twice else inputs)
    tensor = keras.ops.relu(deeper(tensor))
    kept = layers.Dense(12, name="kept", kernel_constraint="max_norm")(tensor)
    outputs = {"a": layers.Dense(12, "softmax", name="a")(kept), "b": layers.Dense(1)(tensor)}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"a": "mse", "b": "mae"}, metrics={"a": "mae"})
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["twice", "once"])
def pair(request):
    """The model, with a nested one that is called twice or once, and the same in factors."""
    model = branched(request.param)
    before = model.get_weights()
    found = keras_snare.factorize(model, "full", layers=r".*(shared|deep|a)", data=(X,))
    assert all(map(np.array_equal, before, model.get_weights()))
    return model, found


def test_shared_and_nested_layers_stay_what_they_are(pair):
    model, found = pair
    for name, value in model(X).items():
        np.testing.assert_allclose(found(X)[name], value, atol=1e-4)
    rows = {row.layer: row for row in keras_snare.factorize_report(found).rows}
    assert rows["kept"].reason == "it is not meant"
    parts = [layer.name for layer in found.get_layer("deeper").get_layer("inner").layers]
    assert parts == ["deep_in", "deep"]
    if "inner" in [layer.name for layer in model.layers]:
        assert found.get_layer("deeper").get_layer("inner") is found.get_layer("inner")
    first, last = found.get_layer("shared_in"), found.get_layer("shared")
    assert not first.trainable
    assert not last.trainable
    assert first.kernel_regularizer is not None
    assert last.kernel_regularizer is not None
    assert not first.use_bias
    assert first.bias_constraint is None
    assert first.activity_regularizer is None
    assert last.bias_constraint is not None
    assert last.activity_regularizer is not None
    assert first.activation is keras.activations.linear


def test_the_result_trains_saves_and_is_cut_and_factorised_further(pair, tmp_path):
    model, found = pair
    found.fit(X, {"a": np.ones((40, 12)), "b": np.ones((40, 1))}, verbose=0)
    assert found.optimizer is not model.optimizer
    if "inner" not in [layer.name for layer in model.layers]:  # Keras loads no such model.
        found.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again(X)["a"], found(X)["a"])
    groups = keras_snare.channel_groups(found)
    name = next(group.name for group in groups.prunable() if group.name.endswith("deep_in"))
    keras_snare.prune(found, 0.5, layers=name)
    assert found.get_layer("deeper").get_layer("inner").get_layer("deep_in").units == 6
    twice = keras_snare.factorize(found, {"a": 3})
    assert [twice.get_layer(name).units for name in ("a_in_1", "a_in", "a")] == [3, 12, 12]


def test_convolutions_in_factors_are_saved_and_loaded(tmp_path):
    model, x = alone((8, 8, 6), layers.Conv2D(8, 3, 2, "same", activation="relu"))
    found = keras_snare.factorize(model, 0.5, method="tucker")
    assert len(found.layers) == 3
    found.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), found(x))


@pytest.mark.slow
def test_convolutions_in_factors_go_to_litert(tmp_path):
    model, _ = alone((8, 8, 6), layers.Conv2D(8, 3, padding="same"))
    found = keras_snare.factorize(model, 0.5, method="spatial")
    report = keras_snare.to_litert(found, tmp_path / "model.tflite")
    assert report.difference < 1e-5


def test_what_does_not_save_or_suit_is_left_alone_with_the_reason():
    keras.utils.set_random_seed(0)
    parts = [
        layers.Conv2D(8, 3, groups=2, name="grouped"),
        layers.SeparableConv2D(8, 3, name="separable"),
        layers.Conv2D(8, 3, kernel_constraint="non_neg", name="constrained"),
        layers.Flatten(),
        layers.Dense(3, name="low"),
        layers.Dense(1, name="one"),
    ]
    model = keras.Sequential([keras.Input((9, 9, 4)), *parts])
    found = keras_snare.factorize(model, "energy:0.999999")
    report = keras_snare.factorize_report(found)
    reasons = {row.layer: row.reason for row in report.rows}
    assert "several groups" in reasons["grouped"]
    assert "SeparableConv2D" in reasons["separable"]
    assert "constraint" in reasons["constrained"]
    assert "no fewer weights" in reasons["low"]
    assert "rank 1 already" in reasons["one"]
    assert report.params_before == report.params_after == model.count_params()
    assert [layer.name for layer in found.layers] == [layer.name for layer in model.layers]
    figures = json.loads(report.to_json())
    assert figures["rows"][0]["layer"] == "grouped"
    assert "several groups" in str(report)
    assert "1.00 times fewer" in str(report)


def test_frozen_models_and_functions_are_copied():
    inner = keras.Sequential([keras.Input((12,)), layers.Dense(4)], name="inner")
    inner.trainable = False
    inputs = keras.Input((12,))
    model = keras.Model(inputs, keras.ops.sin(inner(inputs)))
    found = exchanged(model, {})
    np.testing.assert_array_equal(found(X), model(X))
    assert not found.trainable_variables
    assert not found.get_layer("inner").trainable


def test_the_example_in_the_guide_runs(capsys):
    text = (Path(__file__).parents[2] / "docs" / "factors.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"# Layers in factors.*?```python\n(.*?)```", text, re.DOTALL)
    model = keras.Sequential([keras.Input((12,)), layers.Dense(40, "relu"), layers.Dense(6)])
    model.compile("sgd", "mse")
    found = {"keras_snare": keras_snare, "model": model, "x": X, "y": X[:, :6]}
    exec(code, found)
    assert found["smaller"].count_params() <= 0.25 * model.count_params()
    assert "times fewer" in capsys.readouterr().out


def quantized():
    model = plain()
    model.get_layer("first").quantize("int8")
    return model


def plain():
    parts = [layers.Dense(8, name="first"), layers.Dense(6, name="last")]
    return keras.Sequential([keras.Input((12,)), *parts])


def broken():
    model = plain()
    model.get_layer("first").kernel.assign(np.full((12, 8), np.nan))
    return model


@pytest.mark.parametrize(
    ("build", "settings", "error", "message"),
    [
        (plain, {"rank": 1.0}, ValueError, "Received: rank=1.0"),
        (plain, {"rank": 0}, ValueError, "Received: rank=0"),
        (plain, {"rank": "energy:2"}, ValueError, "Received: rank='energy:2'"),
        (plain, {"rank": (2, 2)}, TypeError, "Received: rank=\\(2, 2\\)"),
        (plain, {"rank": {"x": 2}}, ValueError, "Received: 'x'. Layers with a kernel: first, last"),
        (plain, {"rank": {"first": 9}}, ValueError, "'first' has ranks up to 8. Received: 9"),
        (plain, {"rank": {"first": (2, 2)}}, ValueError, "has one rank, not two"),
        (plain, {"rank": {"first": "low"}}, ValueError, "of layer 'first' .*Received: 'low'"),
        (plain, {"rank": {"first": 2}, "layers": "last"}, ValueError, "Leave `layers` out"),
        (plain, {"method": "cp"}, ValueError, "svd, tucker, spatial, auto. Received: method='cp'"),
        (plain, {"layers": "none"}, ValueError, r"\(none matches\).*first, last"),
        (plain, {"rank": 0.5, "budget": 0.5}, ValueError, "Leave one of them out"),
        (plain, {"budget": 1.5}, ValueError, "Received: budget=1.5"),
        (plain, {"budget": 20}, ValueError, "Kernels of rank 1 have 34 weights"),
        (plain, {"data": (X[:, :3],)}, ValueError, "shape"),
        (plain, {"data": (X[:0],)}, ValueError, "at least one"),
        (
            plain,
            {"data": (X * np.inf,)},
            ValueError,
            "'first' reads of `data` has NaN or",
        ),
        (plain, {"sensitivity": "sum"}, ValueError, "energy, loss. Received: sensitivity='sum'"),
        (plain, {"sensitivity": "loss"}, ValueError, "budget=None, data=None, .* not compiled"),
        (plain, {"batch_size": 0}, ValueError, "Received: batch_size=0"),
        (broken, {}, ValueError, "'first', whose kernel has NaN"),
        (own, {}, UnsupportedModelError, "subclassed"),
        (quantized, {"rank": {"first": 2}}, UnsupportedModelError, "'first': it is quantized"),
        (quantized, {"layers": "first"}, ValueError, "first: it is quantized or carries LoRA"),
    ],
)
def test_what_does_not_suit_is_refused(build, settings, error, message):
    with pytest.raises(error, match=message):
        keras_snare.factorize(build(), **settings)


def test_other_models_have_no_report():
    with pytest.raises(ValueError, match="that keras_snare.factorize returned. Received: <Seq"):
        keras_snare.factorize_report(plain())
