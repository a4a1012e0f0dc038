"""A cut that leaves a strided convolution of width 1 few channels is told of."""

import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare.surgery import narrow_strides

NEEDS = ("TF_ENABLE_ONEDNN_OPTS=0", "jit_compile=True", "round_to=16")


@pytest.fixture(autouse=True)
def _onednn(monkeypatch):
    """A machine as most are, whatever this one is."""
    monkeypatch.setattr(narrow_strides.platform, "machine", lambda: "x86_64")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)


def _model(strides=2, kernel=1, width=20) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(width, 3, padding="same", name="trunk"),
            layers.Conv2D(4, kernel, strides=strides, name="shortcut"),
        ]
    )


def _warned(model, kept) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        keras_snare.shrink(model, {"trunk": range(kept)})
    return [str(one.message) for one in caught if one.category is RuntimeWarning]


def test_a_cut_below_sixteen_channels_warns_with_the_cures():
    (message,) = _warned(_model(), 15)
    assert message.startswith("Layer shortcut reads fewer than 16 channels")
    assert all(cure in message for cure in NEEDS)


def test_a_cut_warns_once_for_a_layer_that_gets_narrower_still():
    model = _model()
    assert len(_warned(model, 15)) == 1
    assert not _warned(model, 10)


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        pytest.param(_model, 16, id="sixteen channels"),
        pytest.param(lambda: _model(strides=1), 8, id="no strides"),
        pytest.param(lambda: _model(kernel=2), 8, id="a wider kernel"),
    ],
)
def test_other_cuts_are_silent(model, kept):
    assert not _warned(model(), kept)


def test_a_frozen_layer_has_no_gradient_of_its_kernel():
    model = _model()
    model.get_layer("shortcut").trainable = False
    assert not _warned(model, 8)


def test_silent_without_onednn(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert not _warned(_model(), 8)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    monkeypatch.setattr(narrow_strides.platform, "machine", lambda: "aarch64")
    assert not _warned(_model(), 8)


@pytest.mark.slow
def test_the_cures_train(tmp_path):
    """With each cure, a network that oneDNN would crash on trains through batches of any size."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, keras, numpy as np\n"
        "x = keras.Input((16, 16, 10)); a = keras.layers.Conv2D(32, 1, strides=2)(x)\n"
        "y = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(a))\n"
        "m = keras.Model(x, y); m.compile('sgd', 'mse', jit_compile=sys.argv[1] == 'jit')\n"
        "d = np.zeros((1077, 16, 16, 10), 'float32'), np.zeros((1077, 2), 'float32')\n"
        "for size in (32, 21): m.fit(*d, batch_size=size, epochs=2, verbose=0)\n"
        "print('trained')\n"
    )
    for setting, word in (("0", "plain"), ("1", "jit")):
        environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": setting}
        found = subprocess.run(
            [sys.executable, script, word], env=environment, capture_output=True, text=True
        )
        assert found.stdout.strip() == "trained", found.stderr[-2000:]


def test_every_cut_of_such_a_network_still_computes_the_same():
    model = _model()
    x = np.random.default_rng(0).random((2, 8, 8, 3), dtype=np.float32)
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([kernel * (np.arange(20) < 9)[:, None], bias])
    expected = np.asarray(model(x))
    _warned(model, 9)
    np.testing.assert_allclose(np.asarray(model(x)), expected, atol=1e-5)
