"""With data rounding costs less, and a metric is kept as well as was asked for."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare import UnsupportedModelError, pack, unpack
from keras_snare.codec import Coding
from keras_snare.codec.choosing import is_finite
from keras_snare.codec.forms import Form
from keras_snare.codec.rounding import KernelRounding
from keras_snare.codec.sensitive import SensitiveForms
from keras_snare.codec.sensitivity import Evidence, _Rows, evidence
from keras_snare.codec.target import check_target, smallest_within
from keras_snare.codec.writing import Variable


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    waves = np.cos(np.outer(np.arange(8) + 0.5, np.arange(3)) * np.pi / 8)
    found = rng.normal(size=(900, 3, 3, 1))
    x = np.einsum("ip,npqc,jq->nijc", waves, found, waves).astype("float32")
    return x, (x[:, 2, 3, 0] * x[:, 5, 1, 0] + x[:, 6, 6, 0] > 0).astype("int32")


def _trained(pictures, *stack, loss="sparse_categorical_crossentropy", **settings) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), *stack])
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], **settings)
    model.fit(*pictures, epochs=12, verbose=0)
    return model


@pytest.fixture(scope="module")
def dense(pictures) -> keras.Model:
    stack = layers.Flatten(), layers.Dense(8, "relu", name="hidden"), layers.Dense(2, "softmax")
    return _trained(pictures, *stack)


@pytest.fixture(scope="module")
def convolution(pictures) -> keras.Model:
    first = layers.Conv2D(6, 3, strides=2, padding="same", name="conv"), layers.ReLU()
    stack = *first, layers.BatchNormalization(), layers.Flatten(), layers.Dense(2, "softmax")
    return _trained(pictures, *stack)


def _tied(y, outputs):
    return keras.ops.square(keras.ops.mean(outputs)) + 0 * outputs


def test_the_metric_is_kept_with_few_bytes(dense, pictures, tmp_path):
    held = [part[600:] for part in pictures]
    before = dense.get_weights()
    target = {"max_loss": 0.02, "validation_data": held}
    without = pack(dense, tmp_path / "without.snare", **target)
    report = pack(dense, tmp_path / "model.snare", data=[p[:600] for p in pictures], **target)
    assert report.monitor == "accuracy"
    assert report.reference == dense.evaluate(*held, verbose=0)[1]
    assert report.reference - report.value <= 0.02
    assert report.weights < without.weights
    assert all(np.array_equal(*both) for both in zip(before, dense.get_weights(), strict=True))
    assert f"accuracy {report.value:.4f}" in str(report)


def test_what_is_unpacked_is_what_was_evaluated(convolution, pictures, tmp_path):
    some = {"quality": 40, "data": pictures, "validation_data": pictures}
    report = pack(convolution, tmp_path / "model.snare", **some, monitor="loss")
    found = unpack(tmp_path / "model.snare")
    found.compile("sgd", convolution.loss)
    assert found.evaluate(*pictures, batch_size=128, verbose=0) == report.value
    assert report.reference < report.value < 2 * report.reference + 0.2


def test_what_cannot_be_rounded_well_enough_keeps_every_bit():
    def make(quality):
        return SimpleNamespace(content=bytes(int(quality or 1000)), values=quality)

    measure = SimpleNamespace(
        value=lambda quality: 0.0 if quality is None else 1.0,
        loss=lambda value: value,
        noted=lambda packed, value: (packed.values, value),
    )
    assert smallest_within(make, measure, 0.5) == (None, 0.0)
    measure.value = lambda quality: 0.0 if quality > 70 else 1.0
    quality, value = smallest_within(make, measure, 0.5)
    assert 70 < quality < 71
    assert value == 0.0


def test_zeros_stay_zeros_with_data(pictures, tmp_path):
    model = _trained(pictures, layers.Flatten(), layers.Dense(12, "relu"), layers.Dense(2))
    kernel = model.layers[1].kernel
    pruned = np.where(np.random.default_rng(0).random((64, 12)) < 0.7, 0, kernel)
    kernel.assign(pruned)
    report = pack(model, tmp_path / "model.snare", quality=40, data=pictures)
    found = np.asarray(unpack(tmp_path / "model.snare").layers[1].kernel)
    assert (found[pruned == 0] == 0).all()
    assert np.count_nonzero(found)
    assert report.variables[0].form == "none"


def test_moments_are_those_of_what_layers_compute(convolution, dense, pictures):
    for model, name in ((convolution, "conv"), (dense, "hidden")):
        layer = model.get_layer(name)
        found = evidence(model, pictures, 100).moments[id(layer.kernel)].matrix
        weights = np.concatenate(
            [np.reshape(layer.kernel, (-1, layer.kernel.shape[-1])), [layer.bias]]
        )
        inputs = pictures[0] if name == "conv" else pictures[0].reshape(900, -1)
        raw = keras.ops.matmul(inputs, layer.kernel) + layer.bias if name == "hidden" else None
        computed = np.asarray(layer(inputs) if raw is None else raw).reshape(-1, weights.shape[1])
        expected = np.mean(computed.astype("float64") ** 2, axis=0)
        np.testing.assert_allclose(np.sum(weights * (found @ weights), axis=0), expected, rtol=1e-4)


def test_curvature_is_that_of_the_loss(pictures):
    model = _trained(pictures, layers.Flatten(), layers.Dense(1), loss="mse")
    found = evidence(model, (pictures[0], pictures[1][:, None]), 10).curvature
    # Of a linear layer and the mean squared error: twice the mean squared input.
    expected = 2 * np.mean(pictures[0].reshape(900, -1).astype("float64") ** 2, axis=0)
    np.testing.assert_allclose(found[id(model.layers[1].kernel)][:, 0], expected, rtol=0.6)
    np.testing.assert_allclose(found[id(model.layers[1].bias)], 2, rtol=0.3)


def test_rows_of_large_pictures_are_drawn_by_chance():
    # Each second row, as a stride would take them, is of another column.
    rows = np.tile([[1.0], [0.0]], (40_000, 1))
    found = [_Rows(3, None).moments(rows, True) for _ in range(2)]
    assert found[0][0, 0] == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(*found)
    weighted = _Rows(3, np.array([1.0, 0.0])).moments(rows, False)
    assert weighted[0, 0] == pytest.approx(0.25, abs=0.05)


@pytest.mark.slow
def test_weights_of_examples_count():
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(4, 3)).astype("float32"), np.array([1.0, 0.0, 2.0, 0.0])
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, name="d")])
    model.compile("sgd", "mse")
    found = evidence(model, (x, np.zeros((4, 1), "float32"), weights), 4)
    kernel = id(model.layers[0].kernel)
    # Of so few outputs the second derivatives are exact: those of the mean weighted square.
    expected = 2 * (x.astype("f8") ** 2 * weights[:, None]).mean(0)
    np.testing.assert_allclose(np.diag(found.moments[kernel].matrix)[:3], expected / 2, rtol=1e-5)
    np.testing.assert_allclose(
        found.curvature[kernel][:, 0],
        2 * ((weights[:, None] * x) ** 2 / np.maximum(weights, 1)[:, None]).mean(0),
        rtol=1e-4,
    )


@pytest.mark.slow
def test_a_kernel_of_zeros_leaves_the_others_as_they_are(pictures, tmp_path):
    inputs = keras.Input((8, 8, 1))
    flat = layers.Flatten()(inputs)
    first = layers.Dense(6, "relu", name="first")(flat)
    other = layers.Dense(6, "relu", name="other", kernel_initializer="zeros")(flat)
    model = keras.Model(inputs, layers.Dense(2, "softmax")(layers.Add()([first, other])))
    model.compile("sgd", "sparse_categorical_crossentropy")
    data = pictures[0][:100], pictures[1][:100]
    report = pack(model, tmp_path / "model.snare", quality=50, data=data)
    rows = {row.path: row for row in report.variables}
    size = np.sqrt(np.mean(model.get_layer("first").kernel.numpy() ** 2))
    # At quality 50 steps are about as large as weights.
    assert size / 8 < rows["first/kernel"].step < 8 * size
    assert rows["other/kernel"].bytes < 12


def test_kernels_that_cost_nothing_say_nothing_of_the_others():
    values = [np.ones((4, 2), "float32"), np.ones((4, 2), "float32"), np.zeros((4, 2), "float32")]
    variables = [Variable(str(key), value, key) for key, value in enumerate(values)]
    scales = []
    for dead in ([], [1, 2]):
        curvature = {key: np.full((4, 2), 3.0) for key in [0, *dead]}
        curvature.update({1: np.zeros((4, 2))} if dead else {})
        scales.append(SensitiveForms(variables, {}, {}, {}, Evidence(curvature, {})).scale)
    assert scales[0] == pytest.approx(scales[1]) == pytest.approx(3.0 / 12)


def test_coefficients_too_large_for_exact_sums_are_not_taken():
    coding = Coding("dct", (40, 40), 1.0)
    form = Form(coding, content=np.full((1600, 1), 2**28))
    assert not is_finite(form, np.zeros((1600, 1), "float32"))


def test_rounding_makes_errors_good():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 20)) + 0.1 * rng.normal(size=(500, 20))
    moments = np.concatenate([rows, np.ones((500, 1))], axis=1)
    moments = moments.T @ moments / 500
    kernel, bias = rng.normal(size=(20, 6)), rng.normal(size=6)
    rounding = KernelRounding(kernel, bias, moments, np.ones(6), None)
    integers, moved, cost = rounding.at(0.5, 0.0)
    plain = kernel - 0.5 * np.rint(kernel / 0.5)
    assert cost < 0.3 * np.sum(plain * (moments[:20, :20] @ plain))
    wrong = np.concatenate([kernel - 0.5 * integers, [bias - moved]])
    # The weights of outputs are a twentieth of their mean larger than they were given.
    np.testing.assert_allclose(cost, 1.05 * np.sum(wrong * (moments @ wrong)), rtol=1e-9)
    fewer, _, _ = rounding.at(0.5, 1.0)
    assert np.count_nonzero(fewer) < np.count_nonzero(integers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_loss": -1.0}, "0 or more"),
        ({"max_loss": 0.1}, "no data"),
        ({"max_loss": 0.1, "quality": 40, "data": True}, "leave out `quality`"),
        ({"data": True}, "neither `quality` nor"),
        ({"quality": 40, "data": np.ones((4, 8, 8, 1))}, "`data`"),
        ({"quality": 40, "monitor": "accuracy"}, "validation_data"),
        ({"max_loss": 0.1, "monitor": "auc", "data": True}, "Known: "),
        ({"max_loss": 0.1, "mode": "up", "data": True}, "`mode` is one of"),
        ({"quality": 40, "mode": "min"}, "without data on"),
        ({"quality": 40, "data": (np.full((4, 8, 8, 1), np.nan), np.zeros(4))}, "finite numbers"),
        ({"quality": 40, "data": (np.ones((4, 8, 8, 1)), np.full(4, 9))}, "labels out of range"),
        ({"quality": 40, "validation_data": (np.ones((0, 8, 8, 1)), np.ones(0))}, "Received: none"),
    ],
)
def test_wrong_use_is_refused(dense, pictures, arguments, message, tmp_path):
    known = {name: pictures if one is True else one for name, one in arguments.items()}
    with pytest.raises(ValueError, match=message):
        pack(dense, tmp_path / "model.snare", **known)
    assert not list(tmp_path.iterdir())


def test_limits_of_loss_may_be_numbers_of_numpy():
    check_target(np.float32(0.1), "auto")
    with pytest.raises(ValueError, match="0 or more"):
        check_target(np.float32(-0.1), "auto")


def test_models_that_are_not_compiled_or_tie_examples_are_refused(pictures, tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(1)])
    data = pictures[0], pictures[1][:, None].astype("float32")
    with pytest.raises(ValueError, match=r"model\.compile"):
        pack(model, tmp_path / "model.snare", quality=40, data=data)
    model.compile("sgd", _tied)
    with pytest.raises(UnsupportedModelError, match="examples"):
        pack(model, tmp_path / "model.snare", quality=40, data=data)


def _own_loss(expected, found):
    return keras.ops.mean(keras.ops.square(expected - found))


def test_a_loss_that_cannot_be_stated_is_refused_before_anything_is_written(pictures, tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(1)])
    data = pictures[0], pictures[1][:, None].astype("float32")
    model.compile("sgd", _own_loss)
    with pytest.raises(UnsupportedModelError, match="register_keras_serializable"):
        pack(model, tmp_path / "model.snare", quality=40, validation_data=data)
    assert not list(tmp_path.iterdir())

    with keras.saving.custom_object_scope({"_own_loss": _own_loss}):
        report = pack(model, tmp_path / "model.snare", quality=40, validation_data=data)
    assert report.value == pytest.approx(report.reference, rel=0.2)


def _twice_named() -> keras.Model:
    inputs = keras.Input((4, 4))
    first = keras.Model(inputs, layers.Dense(4, name="d")(layers.Flatten()(inputs)), name="first")
    middle = keras.Input((4,))
    second = keras.Model(middle, layers.Dense(4, name="d")(middle), name="second")
    model = keras.Model(inputs, second(first(inputs)))
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def test_variables_of_one_path_are_kept_apart(tmp_path):
    keras.utils.set_random_seed(0)
    model, path = _twice_named(), tmp_path / "model.snare"
    x = np.random.default_rng(0).normal(size=(64, 4, 4)).astype("float32")
    data = x, model.predict(x, verbose=0) + 0.1 * x[:, 0]
    for some in ({}, {"data": data}):
        report = pack(model, path, quality=95, **some)
        for one, other in zip(model.get_weights(), unpack(path).get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=0.1)
        assert [row.path for row in report.variables] == ["d/kernel", "d/bias"] * 2
    for name, value in (("codings", keras_snare.Coding()), ("grids", (4, 4))):
        with pytest.raises(ValueError, match=f"`{name}`.* that of 2"):
            pack(model, path, quality=90, **{name: {"d/kernel": value}})
    callback = keras_snare.RateCallback(layers=lambda layer: layer.units == 4, path=path)
    with pytest.raises(UnsupportedModelError, match="names of their own"):
        model.fit(*data, verbose=0, callbacks=[callback])


def test_layers_with_lora_matrices_are_packed(pictures, tmp_path):
    model = _trained(pictures, layers.Flatten(), layers.Dense(2, "softmax", name="d"))
    model.get_layer("d").enable_lora(2)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for some in ({}, {"quality": 90, "data": pictures}):
        pack(model, tmp_path / "model.snare", **some)
        found = unpack(tmp_path / "model.snare").predict(pictures[0], verbose=0)
        away = np.abs(found - model.predict(pictures[0], verbose=0))
        assert away.mean() < 0.03
