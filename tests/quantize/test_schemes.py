"""Schemes and configurations of TF-MOT: what of a kernel they leave in the file."""

import warnings

import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare import QuantizeAwareCallback
from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.environment import tf_mot
from keras_snare.quantize.interpreter import interpreter_of

layers = keras.layers
LIBRARY = tf_mot().quantization.keras
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 12)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class FewBits(LIBRARY.QuantizeConfig):
    """As a user of TF-MOT writes one, for a dense layer."""

    def __init__(self, num_bits=3, narrow_range=True):
        self.num_bits = num_bits
        self.narrow_range = narrow_range

    def get_weights_and_quantizers(self, layer):
        quantizer = LIBRARY.quantizers.LastValueQuantizer(
            self.num_bits, per_axis=False, symmetric=True, narrow_range=self.narrow_range
        )
        return [(layer.kernel, quantizer)]

    def get_activations_and_quantizers(self, layer):
        quantizer = LIBRARY.quantizers.MovingAverageQuantizer(
            8, per_axis=False, symmetric=False, narrow_range=False
        )
        return [(layer.activation, quantizer)]

    def set_quantize_weights(self, layer, quantize_weights):
        (layer.kernel,) = quantize_weights

    def set_quantize_activations(self, layer, quantize_activations):
        (layer.activation,) = quantize_activations

    def get_output_quantizers(self, layer):
        return []

    def get_config(self):
        return {"num_bits": self.num_bits, "narrow_range": self.narrow_range}


def network():
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(16, "relu", name="hidden")
    model = models.chain((12,), hidden, layers.Dense(1, name="out"))
    model.compile("adam", "mse")
    return model


def stored(path):
    """The kernel of the hidden layer in a file, in the order of the model's."""
    interpreter = interpreter_of(path.read_bytes())
    shapes = {tuple(one["shape"]): one["index"] for one in interpreter.get_tensor_details()}
    return interpreter.get_tensor(shapes[16, 12]).T


@pytest.mark.slow
def test_kernel_of_three_bits_has_as_few_values_in_the_file(tmp_path):
    path = tmp_path / "model.tflite"
    quantize = QuantizeAwareCallback(1, path=path, configs={"hidden": FewBits()})
    model = network()
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[quantize])
    kernel = np.asarray(model.get_layer("hidden").kernel)
    step = np.abs(kernel).max() / 3
    values = stored(path)
    assert len(np.unique(values)) == 7
    levels = np.round(values / (np.abs(values).max() / 3))
    assert (levels == np.round(kernel / step)).mean() > 0.98


def by_callback(model, path, configs):
    callback = QuantizeAwareCallback(0, path=path, configs=configs)
    model.fit(X, Y, verbose=0, callbacks=[callback])


def by_tf_keras(model, path, configs):
    keras_snare.quantize_aware_train(model, (X, Y), path=path, configs=configs, verbose=0)


@pytest.mark.parametrize("train", [by_callback, by_tf_keras])
def test_ranges_that_lite_rt_does_not_take_are_laid_to_configs(train, tmp_path):
    model, path = network(), tmp_path / "model.tflite"
    before = model.get_weights()
    with pytest.raises(UnsupportedModelError, match=r"that `configs` or `scheme` give.*narrow"):
        train(model, path, {"hidden": FewBits(narrow_range=False)})
    assert all(map(np.array_equal, before, model.get_weights()))


def trained(model, path, scheme):
    keras_snare.quantize_aware_train(
        model, (X, Y), epochs=4, path=path, scheme=scheme, verbose=0, representative_data=X
    )
    return np.asarray(model.get_layer("hidden").kernel), stored(path)


@pytest.mark.slow
def test_scheme_that_preserves_clusters_keeps_four_values(tmp_path):
    model, path = network(), tmp_path / "model.tflite"
    begun = keras_snare.cluster_weights(model, 4)["hidden/kernel"].values
    scheme = tf_mot().experimental.combine.Default8BitClusterPreserveQuantizeScheme()
    kernel, values = trained(model, path, scheme)
    assert len(np.unique(kernel)) == len(np.unique(values)) == 4
    assert not np.array_equal(np.unique(kernel), begun)
    model = network()
    keras_snare.cluster_weights(model, 4)
    kernel, values = trained(model, path, "default")
    assert min(len(np.unique(kernel)), len(np.unique(values))) > 16


# pytest.warns lets go of the module that a warning came from, by which this one is ignored.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
@pytest.mark.slow
def test_scheme_that_preserves_zeros_keeps_them_and_the_default_warns(tmp_path):
    model, path = network(), tmp_path / "model.tflite"
    keras_snare.sparsify(model, 0.5, layers="hidden")
    zero = np.asarray(model.get_layer("hidden").kernel) == 0
    assert zero.mean() == 0.5
    scheme = tf_mot().experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Zeros of")
        kernel, values = trained(model, path, scheme)
    assert not kernel[zero].any()
    assert not values[zero].any()
    with pytest.warns(UserWarning, match=r"Zeros of hidden/kernel .*PrunePreserveQuantizeScheme"):
        kernel, _ = trained(model, path, "default")
    assert (kernel[zero] != 0).mean() > 0.9
