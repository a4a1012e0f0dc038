"""`pack` writes no file that `unpack` would refuse, and leaves everything else as it was."""

import random
import sys

import keras
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare import UnsupportedModelError, pack, unpack
from keras_snare.codec import check_packable, configuration


def _own_loss(y, outputs):
    return keras.ops.mean(y - outputs)


def _nested(loss) -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="inner")
    inner.compile("adam", loss)
    return keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])


def _stateful() -> keras.Model:
    return keras.Sequential([keras.Input((4, 3), batch_size=2), layers.LSTM(3, stateful=True)])


@pytest.mark.parametrize("loss", ["mse", _own_loss])
@pytest.mark.parametrize("compiled", [False, True])
def test_how_inner_models_were_compiled_is_left_out(loss, compiled, tmp_path):
    model = _nested(loss)
    model.compile("sgd", "mae")
    pack(model, tmp_path / "model.snare", compiled=compiled)
    found = unpack(tmp_path / "model.snare")
    for one, other in zip(model.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.compiled == compiled
    assert not found.layers[0].compiled


def _long(monkeypatch) -> keras.Model:
    monkeypatch.setattr(configuration, "MAX_SIZE", 500)
    return keras.Sequential([keras.Input((4,)), layers.Dense(3)])


@pytest.mark.parametrize("make", [lambda _: _stateful(), _long], ids=["stateful", "long"])
@pytest.mark.parametrize("use", [pack, check_packable, keras_snare.deep_compress])
def test_what_could_not_be_read_is_not_written(make, use, monkeypatch, tmp_path):
    model = make(monkeypatch)
    before = model.get_weights()
    with pytest.raises(UnsupportedModelError, match="cannot be built again"):
        use(model, tmp_path / "model.snare")
    assert not list(tmp_path.iterdir())
    assert all(np.array_equal(*both) for both in zip(before, model.get_weights(), strict=True))


def _fit(model, path) -> None:
    callback = keras_snare.RateCallback(path=path)
    model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0, callbacks=[callback])


@pytest.mark.parametrize("use", [pack, keras_snare.deep_compress, _fit])
def test_the_missing_coder_is_told_in_the_beginning(use, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "constriction", None)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ImportError, match=r"keras-snare\[codec\]"):
        use(model, tmp_path / "model.snare")
    assert all(np.array_equal(*both) for both in zip(before, model.get_weights(), strict=True))


def test_random_numbers_go_on_as_without_packing(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), layers.Dense(3)])
    model.compile("sgd", "mse")
    data, found = (np.ones((8, 4)), np.ones((8, 3))), []
    for packs in (False, False, True):
        keras.utils.set_random_seed(1)
        if packs:
            pack(model, tmp_path / "model.snare", quality=50, data=data, validation_data=data)
        drawn = keras.ops.convert_to_numpy(keras.random.normal((3,)))
        found.append((random.random(), np.random.random(), drawn.tolist()))
    # The generator of the oldest Keras is made once, and no seed is given to it again.
    count = 3 if found[0] == found[1] else 2
    assert found[1][:count] == found[2][:count]
