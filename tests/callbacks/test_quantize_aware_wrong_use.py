"""What `QuantizeAwareCallback` refuses, before any training, and what it says then."""

from unittest.mock import Mock

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import keras_snare
from keras_snare import QuantizeAwareCallback
from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize import to_tf_keras
from keras_snare.quantize.environment import tf_mot
from keras_snare.quantize.integer_file import integer_file

layers = keras.layers
REGISTRY = tf_mot().quantization.keras.default_8bit.Default8BitQuantizeRegistry()
CONFIG = REGISTRY.get_quantize_config(tf_keras.layers.Dense(2))
X, Y = np.random.default_rng(0).random((8, 4)).astype("float32"), np.ones((8, 2), "float32")


# pytest.warns lets go of the module that a warning came from, by which this one is ignored.
COPY = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"


def network(*parts):
    model = models.chain((4,), *parts, layers.Dense(2, name="out"))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, r"Expected `start_epoch`.*or `epochs`.*Received: neither"),
        (
            {"start_epoch": -1},
            ValueError,
            r"`start_epoch` is an integer, 0.*start_epoch=-1",
        ),
        ({"epochs": 0}, ValueError, r"`epochs` is an integer, 1 or more"),
        ({"epochs": 1, "path": 3}, TypeError, r"`path` is the path of a file.*Received: 3"),
        (
            {"epochs": 1, "input_type": "int4"},
            ValueError,
            r"`input_type` is one of 'int8',",
        ),
        ({"epochs": 1, "layers": 3}, TypeError, r"`layers` is a layer name"),
        ({"epochs": 1, "scheme": "4bit"}, ValueError, r"`scheme` is 'default' or a QuantizeScheme"),
        ({"epochs": 1, "configs": {"out": 8}}, TypeError, r"`configs` is a dictionary"),
        ({"epochs": 1, "engine": "jax"}, ValueError, r"`engine` is one of 'tfmot', 'keras'.*jax"),
        (
            {"epochs": 1, "engine": "keras", "configs": {"out": CONFIG}},
            ValueError,
            r"`configs` is for engine='tfmot'.*with engine='keras'. Leave",
        ),
        (
            {"epochs": 1, "engine": "keras", "scheme": "8bit"},
            ValueError,
            r"`scheme` is for engine='tfmot'",
        ),
        ({"epochs": 1, "optimizer": 0.1}, TypeError, r"`optimizer` is an optimizer of Keras 3"),
    ],
)
def test_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        QuantizeAwareCallback(**arguments)


def prune(**settings):
    return keras_snare.MagnitudePruneCallback(0.5, schedule="constant", **settings)


def stopper(**settings):
    return keras.callbacks.EarlyStopping("loss", restore_best_weights=True, **settings)


@pytest.mark.parametrize(
    ("arguments", "before", "behind", "error", "message"),
    [
        ({"start_epoch": 3}, [], [], ValueError, r"the first quantized epoch, 3.*fit\(epochs=3\)"),
        ({"epochs": 4}, [], [], ValueError, r"a fit of 4 epochs or more.*fit\(epochs=3\)"),
        ({}, [], [QuantizeAwareCallback(1)], ValueError, r"One QuantizeAwareCallback"),
        (
            {},
            [],
            [keras_snare.SnareCallback(monitor="loss")],
            ValueError,
            r"SnareCallback\(stop_when_done=True\).*twice",
        ),
        (
            {},
            [prune(structured=True)],
            [],
            ValueError,
            r"MagnitudePruneCallback, which changes",
        ),
        (
            {"optimizer": "adam"},
            [prune()],
            [],
            ValueError,
            r"Expected no `optimizer` together",
        ),
        ({}, [stopper()], [], ValueError, r"Give it start_from_epoch=1"),
        ({}, [], [stopper(start_from_epoch=1)], ValueError, r"in front of QuantizeAwareCallback"),
        ({"path": "no/such/model.tflite"}, [], [], NotADirectoryError, r"a folder that is there"),
        ({"layers": "none"}, [], [], ValueError, r"name at least one layer.*Layers: .*out"),
        (
            {"layers": "none", "engine": "keras"},
            [],
            [],
            ValueError,
            r"name at least one layer.*Layers: .*out",
        ),
        ({"configs": {"in": CONFIG}}, [], [], ValueError, r"layers in `configs`. Received: 'in'"),
        (
            {"representative_data": X[:, :3]},
            [],
            [],
            ValueError,
            r"None, 4.*Received: .*8, 3",
        ),
        ({"representative_data": []}, [], [], ValueError, r"at least one example"),
        ({"representative_data": 3}, [], [], TypeError, r"arrays, or what gives batches"),
    ],
)
def test_fit_is_refused_before_it_trains(arguments, before, behind, error, message):
    model = network(layers.Dense(3, "relu"))
    weights = model.get_weights()
    arguments = {"start_epoch": None if "epochs" in arguments else 1, "path": None, **arguments}
    config = tf_mot().quantization.keras.default_8bit.Default8BitQuantizeRegistry()
    if "configs" in arguments:
        arguments["configs"] = {
            "in": config.get_quantize_config(to_tf_keras(model).model.layers[-1])
        }
    callback = QuantizeAwareCallback(**arguments)
    with pytest.raises(error, match=message):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[*before, callback, *behind])
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert not {"call", "evaluate"} & set(vars(model))


@pytest.mark.parametrize("front", [True, False], ids=["front", "behind"])
@pytest.mark.parametrize("engine", ["tfmot", "keras"])
def test_other_bases_and_roundings_are_refused_before_training(engine, front):
    basis = keras_snare.layers.DCTDense(3, "relu", coefficients=4)
    others = {
        keras_snare.SpectralPruneCallback(2): (network(basis), "first with SpectralPruneCallback"),
        keras_snare.RateCallback(): (network(layers.Dense(3, "relu")), "once with each"),
    }
    for other, (model, cure) in others.items():
        weights = model.get_weights()
        calls = [other, QuantizeAwareCallback(1, path=None, engine=engine)]
        with pytest.raises(ValueError, match=f"network that keeps its form.*fit twice.*{cure}"):
            model.fit(X, Y, epochs=3, verbose=0, callbacks=calls if front else calls[::-1])
        assert all(map(np.array_equal, weights, model.get_weights()))
        assert not {"call", "evaluate"} & set(vars(model))


@pytest.mark.filterwarnings(COPY)
def test_training_that_stops_too_early_says_so():
    model = network()
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", True)
    )
    callback = QuantizeAwareCallback(2, path=None)
    with pytest.warns(UserWarning, match="fit ended before epoch 2.*no file was written"):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[stop, callback])
    with pytest.raises(ValueError, match="Received: none yet"):
        callback.export("model.tflite")
    assert repr(callback) == "QuantizeAwareCallback(start_epoch=2, path=None)"


@pytest.mark.filterwarnings(COPY)
def test_layer_that_tf_mot_refuses_is_told_and_its_output_rounded():
    model = network(layers.Reshape((4, 1)), layers.Conv1D(2, 2, name="conv"), layers.Flatten())
    callback = QuantizeAwareCallback(0, path=None)
    with pytest.warns(UserWarning, match="does not round the kernels of conv while they train"):
        model.fit(X, Y, verbose=0, callbacks=[callback])
    names = [one.name for one in callback.quantized_model.weights]
    assert "quant_conv/output_max:0" in names
    assert "quant_conv/kernel_max:0" not in names


def test_file_with_floats_is_refused_with_the_layers(monkeypatch):
    model = to_tf_keras(network(layers.Dense(3, "relu", name="hidden"))).model
    floats = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    monkeypatch.setattr(
        tf.lite.TFLiteConverter, "from_keras_model", lambda _: Mock(convert=lambda: floats)
    )
    with pytest.raises(UnsupportedModelError, match=r"tensors in float in hidden, out\. Replace"):
        integer_file(model, [[X]], "float32", "float32")
