"""Pruning and quantization-aware training in one `fit`."""

import keras
import models
import numpy as np
import pytest

from keras_snare import MagnitudePruneCallback, QuantizeAwareCallback
from keras_snare.quantize.engines import ENGINES
from keras_snare.quantize.interpreter import interpreter_of

layers = keras.layers


@pytest.mark.parametrize("engine", ENGINES)
def test_zeros_of_a_pruned_kernel_are_zeros_in_the_file(engine, tmp_path):
    random = np.random.default_rng(0)
    x, y = random.random((64, 6)).astype("float32"), random.random((64, 3))
    keras.utils.set_random_seed(0)
    hidden, out = layers.Dense(16, "relu", name="hidden"), layers.Dense(3, name="out")
    model, path = models.chain((6,), hidden, out), tmp_path / "m.tflite"
    model.compile("adam", "mse")
    begun = model.get_weights()
    prune = MagnitudePruneCallback(0.5, schedule="constant")
    quantize = QuantizeAwareCallback(1, path=path, engine=engine)
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[prune, quantize]).history
    assert history["quantized"] == [0, 1, 1]
    assert not np.array_equal(begun[0], model.get_weights()[0])

    interpreter = interpreter_of(path.read_bytes())
    found = {tuple(one["shape"]): one["index"] for one in interpreter.get_tensor_details()}
    for layer in (hidden, out):
        kernel = np.transpose(layer.kernel)
        stored = interpreter.get_tensor(found[kernel.shape])
        assert (kernel == 0).mean() == pytest.approx(0.5)
        assert not stored[kernel == 0].any()
        assert np.abs(stored).max() == 127


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_that_are_updated_while_the_network_is_quantized(engine, tmp_path):
    random = np.random.default_rng(0)
    x, y = random.random((48, 6, 6, 2)).astype("float32"), random.random((48, 3))
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(8, 3, activation="relu", name="conv")
    model = models.chain((6, 6, 2), conv, layers.Flatten(), layers.Dense(3, name="out"))
    model.compile("adam", "mse")
    path = tmp_path / "m.tflite"
    prune = MagnitudePruneCallback(0.75, end_epoch=3)
    quantize = QuantizeAwareCallback(1, path=path, engine=engine)
    history = model.fit(x, y, epochs=5, verbose=0, callbacks=[prune, quantize]).history
    assert history["quantized"] == [0, 1, 1, 1, 1]
    assert history["sparsity"][1] < history["sparsity"][2] < history["sparsity"][-1]

    interpreter = interpreter_of(path.read_bytes())
    found = {tuple(one["shape"]): one["index"] for one in interpreter.get_tensor_details()}
    kernel = np.transpose(conv.kernel, (3, 0, 1, 2))
    stored = interpreter.get_tensor(found[kernel.shape])
    assert (kernel == 0).mean() == pytest.approx(0.75, abs=0.01)
    assert not stored[kernel == 0].any()
    assert stored[kernel != 0].any()
