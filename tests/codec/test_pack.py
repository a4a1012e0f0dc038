"""Models come out of a file as they went in, or as `pack` rounded them."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare import Coding, UnsupportedModelError, pack, unpack


def _picture() -> keras.Model:
    inputs = keras.Input((6, 6))
    x = layers.Dense(8, "relu", name="hidden")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(3, name="out")(x))


def _branched() -> keras.Model:
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    y = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    x = layers.ReLU()(x + 2.0 * y)
    x = layers.Flatten()(layers.DepthwiseConv2D(3, strides=2)(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def _sequence() -> keras.Model:
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4)(inputs)
    x = layers.Bidirectional(layers.GRU(3, dropout=0.1))(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def _half() -> keras.Model:
    shapes = [keras.Input((4,)), layers.Dense(5, dtype="float16")]
    return keras.Sequential([*shapes, layers.Dense(5, dtype="bfloat16")])


def _own_layers() -> keras.Model:
    own = keras_snare.layers.DCTDense(4, coefficients=9, input_grid=(6, 6))
    return keras.Sequential([keras.Input((6, 6)), layers.Flatten(), own, layers.Dense(2)])


MODELS = [_picture, _branched, _sequence, _half, _own_layers]
each_model = pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__[1:])


def _random(make) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = make()
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(np.abs(rng.normal(size=variable.shape)))
    return model


def _values(model) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(one.value)) for one in model.variables]


@each_model
def test_every_bit_comes_back(make, tmp_path):
    model = _random(make)
    report = pack(model, tmp_path / "model.snare")
    found = unpack(tmp_path / "model.snare")
    for one, other in zip(_values(model), _values(found), strict=True):
        assert (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())
    assert report.bytes == (tmp_path / "model.snare").stat().st_size
    assert report.bytes == report.header + report.configuration + report.weights
    assert [one.name for one in found.layers] == [one.name for one in model.layers]


@each_model
def test_quality_sets_size_and_error(make, tmp_path):
    model = _random(make)
    before, sizes, errors = _values(model), [], []
    for quality in (20, 60, 100):
        report = pack(model, tmp_path / "model.snare", quality=quality)
        after = _values(unpack(tmp_path / "model.snare"))
        sizes.append(report.weights)
        errors.append(
            sum(np.sum((a.astype("f8") - b) ** 2) for a, b in zip(before, after, strict=True))
        )
        for one, other, row in zip(before, after, report.variables, strict=True):
            if row.step is None:
                assert one.tobytes() == other.tobytes()
            else:
                assert np.count_nonzero(other) > 0 or np.abs(one).max() <= row.step
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    assert all(
        one.tobytes() == two.tobytes() for one, two in zip(before, _values(model), strict=True)
    )


def test_codings_are_used(tmp_path):
    model = _random(_picture)
    coding = Coding("dct", (6, 6), 0.25)
    integers = np.rint(np.random.default_rng(1).normal(size=(36, 8)) * 2).astype(np.int64)
    rounded = keras_snare.codec.from_integers(integers, coding, (36, 8), "float32")
    model.get_layer("hidden").kernel.assign(rounded)
    report = pack(model, tmp_path / "model.snare", codings={"hidden/kernel": coding})
    for one, other in zip(_values(model), _values(unpack(tmp_path / "model.snare")), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [row.form for row in report.variables] == ["dct", "exact", "exact", "exact"]
    assert report.variables[0].nonzeros == np.count_nonzero(integers)
    assert "hidden/kernel" in str(report)
    assert f"{report.bytes:,} bytes" in str(report)


@pytest.mark.parametrize("quality", [None, 60])
def test_zeros_and_few_values_are_kept_and_used(quality, tmp_path):
    model = _random(_picture)
    kernel = model.get_layer("hidden").kernel
    plain = pack(model, tmp_path / "plain.snare", quality=quality).variables[0].bytes
    pruned = np.where(np.random.default_rng(0).random((36, 8)) < 0.9, 0, kernel)
    kernel.assign(pruned)
    sparse = pack(model, tmp_path / "sparse.snare", quality=quality)
    found = unpack(tmp_path / "sparse.snare").get_layer("hidden").kernel
    assert (np.asarray(found)[pruned == 0] == 0).all()
    assert sparse.variables[0].bytes < 0.7 * plain
    keras_snare.cluster_weights(model, 4)
    few = pack(model, tmp_path / "few.snare", quality=quality)
    if quality is None:
        assert few.variables[0].bytes < plain / 4
        assert few.variables[0].form == "4 values"
        found = unpack(tmp_path / "few.snare").get_layer("hidden").kernel
        np.testing.assert_array_equal(np.asarray(found), np.asarray(kernel))


def test_settings_go_along_when_asked(tmp_path):
    model = _random(_picture)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"])
    data = np.ones((4, 6, 6)), np.zeros(4)
    expected = model.evaluate(*data, verbose=0)
    pack(model, tmp_path / "model.snare", compiled=True)
    assert unpack(tmp_path / "model.snare").evaluate(*data, verbose=0) == expected
    pack(model, tmp_path / "model.snare")
    assert not unpack(tmp_path / "model.snare").compiled


class _Own(layers.Layer):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("layer", [layers.Lambda(lambda x: x), _Own()], ids=["lambda", "own class"])
def test_models_that_run_code_are_refused(layer, tmp_path):
    model = keras.Sequential([keras.Input((3,)), layer, layers.Dense(2)])
    with pytest.raises(UnsupportedModelError, match="cannot be built again"):
        pack(model, tmp_path / "model.snare")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"quality": 0}, ValueError, "from 1 to 100"),
        ({"quality": True}, ValueError, "from 1 to 100"),
        ({"codings": {"none": Coding()}}, ValueError, "Known: hidden/kernel"),
        ({"codings": {"hidden/kernel": 0.1}}, ValueError, "objects of Coding"),
        ({"grids": {"none": (6, 6)}}, ValueError, "Known: hidden/kernel"),
        ({"grids": {"hidden/kernel": (5, 6)}}, ValueError, "leading features"),
        ({"codings": [Coding()]}, TypeError, "dictionary from paths"),
        ({"codings": {"out/kernel": Coding(step=1e-12)}}, ValueError, "'out/kernel'.*larger step"),
        ({"grids": [(6, 6)]}, TypeError, "dictionary from paths"),
        ({"grids": {"hidden/kernel": 36}}, ValueError, "of integers, 1 or more"),
        ({"grids": {"hidden/kernel": "ab"}}, ValueError, "of integers, 1 or more"),
        ({"grids": {"hidden/kernel": (6.0, 6.0)}}, ValueError, "of integers, 1 or more"),
        ({"grids": {"hidden/kernel": (-6, -6)}}, ValueError, "of integers, 1 or more"),
        ({"grids": {"hidden/kernel": (2, 3, 2, 3)}}, ValueError, "of integers, 1 or more"),
        ({"path": ""}, ValueError, "that of a file"),
        ({"path": "."}, ValueError, "that of a file"),
        ({"compiled": 1}, ValueError, "True or False"),
        ({"path": 3}, TypeError, "path of a file"),
        ({"path": "missing/model.snare"}, ValueError, "folder"),
        ({"model": "model"}, TypeError, "Keras 3 model"),
        ({"model": keras.Sequential([layers.Dense(2)])}, UnsupportedModelError, "not built"),
    ],
)
def test_wrong_use_is_refused(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        pack(**{"model": _random(_picture), "path": "model.snare", **arguments})
    assert not list(tmp_path.iterdir())
