"""Trained dense layers in a basis of cosines."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops
from subclassed import own

import keras_snare
from keras_snare.errors import UnsupportedModelError
from keras_snare.layers import DCTDense
from keras_snare.layers.cosines import basis

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 4, 6)).cumsum(axis=1).cumsum(axis=2).astype("float32") + 1


def network(channels=None, use_bias=True):
    keras.utils.set_random_seed(0)
    shape = (4, 6) if channels is None else (4, 6, channels)
    first = layers.Dense(5, "relu", use_bias, bias_initializer="normal", name="first")
    parts = [keras.Input(shape), layers.BatchNormalization(), layers.Flatten(), first]
    return keras.Sequential([*parts, layers.Dropout(0.5), layers.Dense(3, name="last")])


@pytest.mark.parametrize("channels", [None, 2])
def test_all_frequencies_change_nothing(channels):
    model = network(channels)
    x = X if channels is None else np.stack([X, X**2], axis=-1)
    before = model.get_weights()
    found = keras_snare.to_basis(model, 1.0)
    assert type(found.get_layer("first")) is DCTDense
    assert found.get_layer("first").input_grid == model.input_shape[1:]
    assert type(found.get_layer("last")) is layers.Dense
    np.testing.assert_allclose(found(x), model(x), rtol=1e-4, atol=1e-5)
    assert all(map(np.array_equal, before, model.get_weights()))
    with_data = keras_snare.to_basis(model, 1.0, data=(x,))
    np.testing.assert_allclose(with_data(x), model(x), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("use_bias", [True, False])
def test_least_squares_to_the_kernel_and_to_what_is_computed(use_bias):
    model, chosen = network(use_bias=use_bias), [0, 1, 2, 6, 7, 13]
    kernel = ops.convert_to_numpy(model.get_layer("first").kernel)
    columns = basis((4, 6), chosen)
    plain = keras_snare.to_basis(model, chosen).get_layer("first")
    assert plain.coefficients == tuple(chosen)
    np.testing.assert_allclose(plain.kernel, columns.T @ kernel, atol=1e-6)

    reads = ops.convert_to_numpy(model.layers[1](model.layers[0](X)))
    found = keras_snare.to_basis(model, chosen, data=(X,), batch_size=7).get_layer("first")
    bias = np.zeros(5) if not use_bias else ops.convert_to_numpy(model.get_layer("first").bias)
    table = reads @ columns
    table = np.column_stack([table, np.ones(len(X))]) if use_bias else table
    expected, *_ = np.linalg.lstsq(table, reads @ kernel + bias, rcond=None)
    np.testing.assert_allclose(found.kernel, expected[:6], atol=2e-3)
    if use_bias:
        np.testing.assert_allclose(found.bias, expected[6], atol=2e-3)


def test_a_count_keeps_what_has_the_most_energy():
    model = network()
    first = model.get_layer("first")
    weights = np.zeros((24, 4))
    weights[[3, 8, 17, 20]] = np.eye(4) * [5, 3, 2, 0.1]
    kernel = basis((4, 6), range(24)) @ weights
    first.kernel.assign(np.column_stack([kernel, np.zeros(24)]))
    assert keras_snare.to_basis(model, 3).get_layer("first").coefficients == (3, 8, 17)
    # Of what the inputs have nothing, nothing is needed.
    flat = X.reshape(40, 24)
    column = basis((4, 6), [3])
    without = (flat - flat @ column @ column.T).reshape(X.shape)
    for layer in model.layers[:1]:
        layer.set_weights([np.ones(6), np.zeros(6), np.zeros(6), np.ones(6)])
    found = keras_snare.to_basis(model, 3, data=(without,))
    assert found.get_layer("first").coefficients == (8, 17, 20)


def test_functional_nested_shared_compiled_and_named(tmp_path):
    inputs = keras.Input((24,), name="pixels")
    shared = layers.Dense(24, name="shared")
    inner = keras.Sequential([keras.Input((24,)), layers.Dense(4, name="deep")], name="inner")
    tensor = inner(shared(shared(inputs)))
    model = keras.Model(inputs, layers.Dense(2, name="end")(tensor))
    model.compile("adam", "mse", metrics=["mae"])
    x = X.reshape(40, 24)
    grids = {"shared": (4, 6), "inner/deep": (2, 3, 4)}
    found = keras_snare.to_basis(
        model, 1.0, layers=["shared", "inner/.*"], input_grids=grids, data=(x,)
    )
    np.testing.assert_allclose(found(x), model(x), rtol=1e-2, atol=2e-2)
    assert found.get_layer("inner").get_layer("deep").input_grid == (2, 3, 4)
    assert type(found.get_layer("end")) is layers.Dense
    found.fit(x, np.ones((40, 2)), verbose=0)
    assert found.optimizer is not model.optimizer
    found.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), found(x))
    line = keras_snare.to_basis(model, 6, layers="inner/deep")
    assert line.get_layer("inner").get_layer("deep").input_grid is None


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_inputs_that_do_not_vary_leave_the_coefficients_of_the_kernel(value):
    model, x = network(), np.full((8, 4, 6), value, "float32")
    model.layers[0].set_weights([np.ones(6), np.zeros(6), np.zeros(6), np.ones(6)])
    plain = keras_snare.to_basis(model, 6)
    found = keras_snare.to_basis(model, plain.get_layer("first").coefficients, data=(x,))
    kernels = [one.get_layer("first").kernel for one in (plain, found)]
    np.testing.assert_allclose(*kernels, atol=1e-5)
    np.testing.assert_allclose(found(x), model(x), atol=1e-5)


def broken():
    model = network()
    model.get_layer("first").kernel.assign(np.full((24, 5), np.inf))
    return model


def quantized():
    model = network()
    model.get_layer("first").quantize("int8")
    return model


@pytest.mark.parametrize(
    ("build", "settings", "error", "message"),
    [
        (network, {"coefficients": 25}, ValueError, "`coefficients` is 24 at most"),
        (network, {"coefficients": 0.0}, ValueError, "Received: coefficients=0.0"),
        (network, {"layers": "none"}, ValueError, "Dense layers: first, last"),
        (network, {"input_grids": {"first": (3, 3)}}, ValueError, r"a grid of 24.*\(3, 3\)"),
        (network, {"input_grids": {"x": (3, 3)}}, ValueError, "Received: 'x'"),
        (network, {"data": (X[:, :3],)}, ValueError, "shape"),
        (network, {"data": (X[:0],)}, ValueError, "at least one"),
        (network, {"data": (np.where(X > 2, np.nan, X),)}, ValueError, "'first' reads of `data`"),
        (broken, {}, ValueError, "'first', whose kernel has NaN or infinite"),
        (network, {"batch_size": 0}, ValueError, "Received: batch_size=0"),
        (network, {"batch_size": 2.5}, ValueError, "Received: batch_size=2.5"),
        (network, {"batch_size": "x"}, ValueError, "Received: batch_size='x'"),
        (network, {"input_grids": "first"}, TypeError, "Received: input_grids='first'"),
        (network, {"input_grids": {"first": 24}}, ValueError, "Received: 'first': 24"),
        (network, {"input_grids": {"first": (-4, -6)}}, ValueError, r"'first': \(-4, -6\)"),
        (network, {"input_grids": {"first": (4.0, 6)}}, ValueError, r"'first': \(4.0, 6\)"),
        (network, {"input_grids": {"first": (4, 3, 2, 1)}}, ValueError, "'first': .4, 3, 2, 1"),
        (own, {}, UnsupportedModelError, "subclassed"),
        (quantized, {}, UnsupportedModelError, "'first', which is quantized or has LoRA"),
    ],
)
def test_what_does_not_suit_is_refused(build, settings, error, message):
    with pytest.raises(error, match=message):
        keras_snare.to_basis(build(), **{"coefficients": 4, **settings})


def test_a_grid_behind_a_flatten_that_turns_it():
    def model(rank):
        shape = (4, 8) if rank == 2 else (3, 4, 8)
        inputs = keras.Input(shape)
        flat = layers.Flatten(data_format="channels_first")(inputs)
        return keras.Model(inputs, layers.Dense(5, name="first")(flat))

    assert keras_snare.to_basis(model(2), 4).get_layer("first").input_grid == (8, 4)
    assert keras_snare.to_basis(model(3), 4).get_layer("first").input_grid == (4, 8, 3)


def test_what_layers_learned_beside_weights_is_kept():
    x = np.random.default_rng(0).normal(5, 3, (64, 16)).astype("float32")
    normalization = layers.Normalization()
    normalization.adapt(x)
    parts = [normalization, layers.Dense(8, "relu", name="first"), layers.Dense(2)]
    model = keras.Sequential([keras.Input((16,)), *parts])
    same = keras_snare.to_basis(model, 16, layers="first")
    np.testing.assert_allclose(same.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-4)
    lookup = layers.IntegerLookup()
    lookup.adapt([7, 9, 7])
    inputs = keras.Input((1,), dtype="int64")
    flat = layers.Flatten()(layers.Embedding(5, 4)(lookup(inputs)))
    model = keras.Model(inputs, layers.Dense(3, name="first")(flat))
    same = keras_snare.to_basis(model, 4, layers="first")
    ids = np.array([[7], [9], [1]])
    np.testing.assert_allclose(
        same.predict(ids, verbose=0), model.predict(ids, verbose=0), atol=1e-5
    )


def test_losses_that_keras_cannot_find_again():
    def own(y, predicted):
        return predicted - y

    model = network()
    model.compile("sgd", own)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = keras_snare.to_basis(model, 4)
    assert any("The new model is not compiled" in str(one.message) for one in said)
    assert not found.compiled


def test_constraints_are_refused():
    first = layers.Dense(4, kernel_constraint="non_neg", name="first")
    model = keras.Sequential([keras.Input((4, 4)), layers.Flatten(), first])
    with pytest.raises(UnsupportedModelError, match="without constraint"):
        keras_snare.to_basis(model, 4)
