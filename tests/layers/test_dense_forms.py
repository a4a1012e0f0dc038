"""Dense layers in other forms against `Dense` with the kernel that they stand for."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_snare
from keras_snare.layers import DCTDense, KroneckerDense, LowRankDense
from keras_snare.layers.cosines import basis, cosines, frequencies
from keras_snare.surgery import set_frequencies

layers = keras.layers
RANDOM = np.random.default_rng(0)

# By name: features, and what makes the layer of so many units.
FORMS = {
    "line": (12, lambda units, **s: DCTDense(units, coefficients=5, **s)),
    "share": (12, lambda units, **s: DCTDense(units, coefficients=0.5, **s)),
    "grid": (12, lambda units, **s: DCTDense(units, coefficients=7, input_grid=(3, 4), **s)),
    "image": (24, lambda units, **s: DCTDense(units, coefficients=9, input_grid=(2, 4, 3), **s)),
    "chosen": (12, lambda units, **s: DCTDense(units, coefficients=[7, 0, 3], **s)),
    "low_rank": (12, lambda units, **s: LowRankDense(units, 3, **s)),
    "kronecker": (12, lambda units, **s: KroneckerDense(units, None, 2, **s)),
    "factors": (12, lambda units, **s: KroneckerDense(units, ((6, 2), (1, units)), 1, **s)),
}
each_form = pytest.mark.parametrize("name", FORMS)


def made(name, units=6, features=None, **settings):
    count, build = FORMS[name]
    layer = build(units, bias_initializer="normal", **settings)
    layer.build((None, features or count))
    return layer


def inputs(name, *before):
    return RANDOM.normal(size=(*before, FORMS[name][0])).astype("float32")


@each_form
@pytest.mark.parametrize("before", [(5,), (2, 3)], ids=["flat", "sequence"])
def test_it_is_dense_with_its_kernel(name, before):
    layer, x = made(name, activation="tanh"), inputs(name, *before)
    kernel = ops.convert_to_numpy(layer.dense_kernel())
    assert kernel.shape == (x.shape[-1], 6)
    expected = np.tanh(x @ kernel + ops.convert_to_numpy(layer.bias))
    found = layer(x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == found.shape == expected.shape
    assert made(name, use_bias=False).bias is None


@each_form
def test_gradients_are_those_of_dense(name):
    """By every weight: that of the kernel, through what the weight does to the kernel."""
    layer, x = made(name, use_bias=False, dtype="float64"), inputs(name, 5).astype("float64")
    for variable in layer.trainable_variables:
        with tf.GradientTape(persistent=True) as tape:
            loss = ops.sum(layer(x) ** 2)
            dense = ops.sum((x @ layer.dense_kernel()) ** 2)
        slope = tape.gradient(loss, variable.value)
        np.testing.assert_allclose(slope, tape.gradient(dense, variable.value), rtol=1e-6)
        # Along a random direction, by differences.
        step = 1e-5 * RANDOM.normal(size=variable.shape)
        variable.assign_add(step)
        after = float(ops.sum(layer(x) ** 2))
        variable.assign_sub(2 * step)
        before = float(ops.sum(layer(x) ** 2))
        variable.assign_add(step)
        assert (after - before) / 2 == pytest.approx(float(np.sum(step * slope)), rel=1e-5)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (DCTDense(96, coefficients=7, input_grid=(12, 12)), 7 * 96),
        (DCTDense(96, coefficients=0.05), 7 * 96),
        (DCTDense(96, coefficients=[3, 5]), 2 * 96),
        (LowRankDense(96, 3), (144 + 96) * 3),
        (KroneckerDense(96, None, 2), 2 * (12 * 8 + 12 * 12)),
    ],
)
def test_only_these_numbers_are_weights(layer, count):
    layer.build((None, 144))
    assert layer.count_params() == count + 96
    assert layer.non_trainable_variables == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "grid")) for name in FORMS],
)
def test_it_is_saved_and_trained_in_any_precision(name, tmp_path):
    features, build = FORMS[name]
    settings = {"kernel_regularizer": "l2", "kernel_constraint": "max_norm", "name": "form"}
    for policy in ("float32", "mixed_float16"):
        form = build(6, activation="relu", dtype=policy, **settings)
        model = keras.Sequential([keras.Input((features,)), form, layers.Dense(2)])
        model.compile("adam", "mse")
        x = inputs(name, 16)
        first = model.evaluate(x, np.ones((16, 2)), verbose=0)
        model.fit(x, np.ones((16, 2)), epochs=20, verbose=0)
        assert model.evaluate(x, np.ones((16, 2)), verbose=0) < first
        assert len(form.losses) == len(form.trainable_variables) - 1
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
        assert again.get_layer("form").get_config() == form.get_config()


class HasASpare(keras.Model):
    """A model with a layer that it does not use."""

    def __init__(self):
        super().__init__(name="has_a_spare")
        self.spare, self.used = DCTDense(3, coefficients=2), DCTDense(3, coefficients=2)

    def build(self, input_shape):
        self.used.build(input_shape)

    def call(self, inputs):
        return self.used(inputs)


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_models_with_layers_that_are_not_built_are_saved(tmp_path):
    model = keras.Sequential([DCTDense(3, coefficients=4)])
    model.save(tmp_path / "model.keras")
    (again,) = keras.models.load_model(tmp_path / "model.keras").layers
    assert (again.built, again.coefficients) == (False, 4)
    model, other = HasASpare(), HasASpare()
    x = np.ones((1, 4))
    expected = model(x)
    other(x)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other(x), expected)


def test_in_double_precision_the_basis_is_double_too():
    layer = made("grid", use_bias=False, dtype="float64")
    x = inputs("grid", 5).astype("float64")
    kernel = basis((3, 4), layer.frequencies) @ ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(layer(x), x @ kernel, rtol=1e-13, atol=1e-13)
    model = keras.Sequential([keras.Input((12,), dtype="float64"), layer])
    set_frequencies(model, {layer: [0, 5, 2]})
    assert layer.fixed_basis.dtype == "float64"


def test_the_example_is_smaller_and_faster_than_a_dense_layer():
    form = DCTDense(256, "relu", coefficients=78, input_grid=(28, 28))
    costs = [
        keras_snare.cost(keras.Sequential([keras.Input((784,)), layer]))
        for layer in (form, layers.Dense(256, "relu"))
    ]
    assert costs[0].params < costs[1].params / 2
    assert costs[0].flops < costs[1].flops / 2


@each_form
def test_masks_pass(name):
    features, build = FORMS[name]
    model = keras.Sequential([keras.Input((3, features)), layers.Masking(), build(4)])
    x = np.ones((2, 3, features), "float32")
    x[:, 2] = 0
    assert model(x).shape == (2, 3, 4)
    symbolic = model.layers[0](keras.ops.convert_to_tensor(x))
    found = model.layers[1](symbolic)
    np.testing.assert_array_equal(found._keras_mask, [[True, True, False]] * 2)


@each_form
def test_quantize_is_refused_with_a_reason(name):
    features, build = FORMS[name]
    model = keras.Sequential([keras.Input((features,)), build(4, name="form"), layers.Dense(2)])
    with pytest.raises(NotImplementedError, match=r"'form' .* has no quantized form"):
        model.layers[0].quantize("int8")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.quantize("int8")
    assert any("has no quantized form" in str(one.message) for one in found)
    assert model.layers[1].quantization_mode == "int8"


@each_form
def test_it_is_written_for_litert(name, tmp_path):
    features, build = FORMS[name]
    model = keras.Sequential([keras.Input((features,)), build(8, activation="relu")])
    report = keras_snare.to_litert(model, tmp_path / "model.tflite")
    assert report.difference < 1e-5
    x = inputs(name, 64)
    report = keras_snare.to_litert(model, tmp_path / "a.tflite", "int8", representative_data=x)
    assert report.difference < 0.1


@each_form
def test_units_are_cut(name):
    """The cut network computes what the uncut one does with those units at zero."""
    features, build = FORMS[name]
    form = build(6, activation="relu", bias_initializer="normal", name="form")
    model = keras.Sequential([keras.Input((features,)), layers.Dense(features, name="before")])
    model.add(form)
    model.add(layers.Dense(2, name="last"))
    x, walls = inputs(name, 7), keras_snare.channel_groups(model)
    # Of a Kronecker product, units go in rows.
    row = form.factor_shape[-1] if isinstance(form, KroneckerDense) else 0
    if row == 6:
        assert walls["form"].reason == "it has a single unit, and one must stay"
        return
    kept = list(range(row, 6)) if row else [0, 2, 3, 5]
    last = model.get_layer("last").kernel
    silent = ops.convert_to_numpy(last).copy()
    silent[np.setdiff1d(range(6), kept)] = 0
    last.assign(silent)
    expected = model.predict(x, verbose=0)
    cost = keras_snare.cost(model)
    assert walls["before"].prunable == isinstance(form, LowRankDense)
    keras_snare.shrink(model, {"form": kept})
    assert (form.units, form.bias.shape) == (len(kept), (len(kept),))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    assert keras_snare.cost(model).flops < cost.flops
    if isinstance(form, LowRankDense):
        keras_snare.shrink(model, {"before": list(range(1, features))})
        assert form.first.shape == (features - 1, 3)
        model.predict(x, verbose=0)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_cosines_are_orthonormal_and_the_transform(length):
    from scipy.fft import dct

    found = cosines(length)
    np.testing.assert_allclose(found.T @ found, np.eye(length), atol=1e-12)
    x = RANDOM.normal(size=length)
    np.testing.assert_allclose(x @ found, dct(x, norm="ortho"), atol=1e-12)


@pytest.mark.parametrize("grid", [(12,), (3, 4), (2, 4, 3)], ids=str)
def test_a_basis_of_all_frequencies_is_a_rotation(grid):
    size = int(np.prod(grid))
    order = frequencies(grid)
    assert sorted(order) == list(range(size))
    found = basis(grid, order)
    np.testing.assert_allclose(found.T @ found, np.eye(size), atol=1e-12)
    # The lowest says the mean: over each channel, where there are some.
    channels = grid[2] if len(grid) > 2 else 1
    flat = np.full((size // channels, channels), 1.0)
    seen = flat.reshape(-1) @ found
    assert np.abs(seen[channels:]).max() < 1e-12
    np.testing.assert_allclose(seen[:channels], np.sqrt(size / channels))


def test_low_frequencies_come_first_on_a_grid_of_unequal_sides():
    order = frequencies((4, 8))
    waves = np.stack(np.unravel_index(order, (4, 8)), axis=1)
    assert waves[:2].tolist() == [[0, 0], [0, 1]]
    size = np.sum((waves / [4, 8]) ** 2, axis=1)
    assert np.all(np.diff(size) >= 0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DCTDense(0), "`units` is an integer, 1 or more. Received: units=0"),
        (lambda: DCTDense(3, coefficients=0), "Received: coefficients=0"),
        (lambda: DCTDense(3, coefficients=1.5), "Received: coefficients=1.5"),
        (lambda: DCTDense(3, coefficients=[1, 1]), r"Received: coefficients=\[1, 1\]"),
        (lambda: DCTDense(3, coefficients=True), "Received: coefficients=True"),
        (lambda: DCTDense(3, coefficients="all"), "Received: coefficients='all'"),
        (lambda: DCTDense(3, input_grid=(3,)), r"`input_grid` is .* Received: input_grid=\(3,\)"),
        (lambda: LowRankDense(3, 0), "`rank` is an integer, 1 or more. Received: rank=0"),
        (lambda: KroneckerDense(6, ((2, 3), (2, 2))), r"Received: \(2, 2\), which make 4"),
        (lambda: KroneckerDense(6, 3), r"`factors` is \(\(a, b\), \(c, d\)\) or None"),
        (
            lambda: KroneckerDense(6, ((2, 2.5), (2, 3))),
            r"Received: factors=\(\(2, 2.5\), \(2, 3\)\)",
        ),
        (lambda: KroneckerDense(6, (("2", 3), (2, 3))), "in integers of 1 or more"),
        (lambda: KroneckerDense(6, ("23", (2, 3))), "in integers of 1 or more"),
        (lambda: KroneckerDense(6, ((True, 3), (2, 3))), "in integers of 1 or more"),
        (lambda: KroneckerDense(6, ((0, 3), (2, 3))), "in integers of 1 or more"),
        (lambda: KroneckerDense(6, ((2, 3, 1), (2, 3))), "in integers of 1 or more"),
        (lambda: KroneckerDense(6, None, 1.5), "Received: rank=1.5"),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (DCTDense(3, coefficients=13), "`coefficients` is 12 at most.* Received: 13"),
        (DCTDense(3, coefficients=[12]), "below 12, on the grid .* Received: 12"),
        (DCTDense(3, input_grid=(3, 3)), r"input_grid=\(3, 3\), which is 9.* inputs with 12"),
        (KroneckerDense(6, ((2, 3), (2, 3))), "which make 6 features. Received: inputs with 12"),
        (LowRankDense(3, 2), r"known number of features. Received: input_shape=\(None, None\)"),
    ],
)
def test_inputs_that_do_not_suit(layer, message):
    shape = (None, None) if "known" in message else (None, 12)
    with pytest.raises(ValueError, match=message):
        layer.build(shape)
