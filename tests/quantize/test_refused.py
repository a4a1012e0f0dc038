"""What the bridge cannot take: named, with the reason, and nothing is changed."""

import sys

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_snare.errors import SnareError, UnsupportedModelError
from keras_snare.quantize import to_tf_keras
from keras_snare.quantize.environment import tf_mot

layers = keras.layers


class Doubled(layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


class Heavy(keras.regularizers.Regularizer):
    def __call__(self, weight):
        return keras.ops.sum(weight)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, inputs):
        return self.dense(inputs)


def subclassed():
    model = Subclassed()
    model(np.ones((2, 4)))
    return model


def mixed():
    return models.chain((4,), layers.Dense(3, dtype="mixed_float16", name="half"))


def adapted_dense():
    model = models.chain((4,), layers.Dense(3, name="adapted"))
    model.layers[0].enable_lora(2)
    return model


def quantized():
    model = models.chain((4,), layers.Dense(3, name="int8"))
    model.layers[0].quantize("int8")
    return model


def optional():
    inputs = keras.Input((4,), optional=True, name="perhaps")
    return keras.Model(inputs, layers.Dense(3)(inputs))


def sorted_inputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.ops.sort(inputs))


def on_a_constant():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Add(name="sum")([inputs, np.ones((1, 4), "float32")]))


def with_a_variable():
    inputs = keras.Input((4,))
    return keras.Model(inputs, inputs * keras.Variable(np.ones(4, "float32"), name="factor"))


def always_training():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dropout(0.5, name="drop")(inputs, training=True))


def nested_always_training():
    inputs = keras.Input((4,))
    inner = models.chain((4,), layers.BatchNormalization(), name="inner")
    return keras.Model(inputs, inner(inputs, training=True))


def partly_frozen():
    model = models.chain((4,), layers.Dense(3, name="part"))
    model.layers[0].kernel.trainable = False
    return model


def frozen_outside():
    model = models.chain((4,), layers.BatchNormalization(name="norm"), layers.Dense(2))
    model.trainable = False
    model.layers[0].trainable = True
    return model


def chained(layer):
    return lambda: models.chain((4, 4), layer())


REFUSED = {
    "not_built": (lambda: keras.Sequential([layers.Dense(3)]), "has no graph yet"),
    "subclassed": (subclassed, r"is subclassed \(Subclassed\)"),
    "tf_keras": (lambda: tf_keras.Sequential([tf_keras.layers.Dense(3)]), "again in Keras 3"),
    "no_model": (lambda: 3, "Expected a Keras 3 model. Received: builtins.int"),
    "mixed": (mixed, r"'half' \(Dense\): its precision is 'mixed_float16'"),
    "quantized": (quantized, "'int8' .Dense.: its precision is 'int8_from_float32'"),
    "optional": (optional, "'perhaps' .InputLayer.: it is optional"),
    "function": (sorted_inputs, r"'sort' \(Sort\): no equal of this function is known here"),
    "own_layer": (chained(lambda: Doubled(3, name="own")), r"'own' \(Doubled\): no equal of it"),
    "lambda": (chained(lambda: layers.Lambda(lambda x: x, name="any")), r"'any' \(Lambda\)"),
    "lora": (adapted_dense, r"'adapted' \(Dense\): lora_rank=2 has no equal"),
    "activation": (
        chained(lambda: layers.Dense(3, lambda x: x, name="d")),
        "its activation '<lamb",
    ),
    "prelu": (chained(lambda: layers.Dense(3, layers.PReLU())), "its weights are"),
    "regularizer": (
        chained(lambda: layers.Dense(3, kernel_regularizer=Heavy(), name="d")),
        "'d' .Dense.: kernel_regularizer is a Heavy",
    ),
    "mask": (
        chained(lambda: layers.Embedding(4, 3, mask_zero=True)),
        "mask_zero=True has no equal",
    ),
    "constant": (on_a_constant, r"'sum' \(Add\): it is called on a constant"),
    "variable": (with_a_variable, "variable 'factor', whose training"),
    "training": (always_training, "it is called with training=True"),
    "training_within": (nested_always_training, "'inner' .*is called with training=True"),
    "partly_frozen": (partly_frozen, "part/kernel', which is not trained in Keras 3"),
    "frozen_outside": (frozen_outside, "norm/gamma', which is not trained in Keras 3"),
    "sparse": (
        lambda: keras.Sequential([keras.Input((4,), sparse=True, name="few"), layers.Dense(3)]),
        "'few' .Input.: it takes sparse",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_model_is_refused(name):
    make, reason = REFUSED[name]
    with pytest.raises(UnsupportedModelError, match=reason):
        to_tf_keras(make())


def small():
    return models.chain((4,), layers.Dense(3))


def test_what_tf_keras_itself_refuses_is_told_with_the_layer(monkeypatch):
    def refuse(self, inputs):
        raise ValueError("not today")

    monkeypatch.setattr(tf_keras.layers.Dense, "call", refuse)
    model = models.chain((4,), layers.Dense(3, name="d"))
    with pytest.raises(UnsupportedModelError, match=r"'d' \(Dense\): tf_keras does not take it"):
        to_tf_keras(model)


def test_tf_keras_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    release = ".".join(tf.__version__.split(".")[:2])
    with pytest.raises(ImportError, match=f"pip install 'tf-keras~={release}.0'"):
        to_tf_keras(small())


def test_tf_mot_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_model_optimization", None)
    with pytest.raises(ImportError, match="pip install tensorflow-model-optimization"):
        tf_mot()


def test_tf_mot_is_too_old(monkeypatch):
    monkeypatch.setattr(tf_mot(), "__version__", "0.7.5")
    with pytest.raises(SnareError, match=r"0\.8 or later. Received: 0\.7\.5\. .*pip install"):
        tf_mot()


def test_tf_mot_dies_as_it_is_imported(monkeypatch, tmp_path):
    (tmp_path / "tensorflow_model_optimization.py").write_text("raise AttributeError('no such')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow_model_optimization", raising=False)
    with pytest.raises(SnareError, match=r"Received: AttributeError: no such, .*pip install"):
        tf_mot()


def test_tf_keras_is_of_another_release(monkeypatch):
    monkeypatch.setattr(tf_keras, "__version__", "2.16.0")
    with pytest.raises(SnareError, match=r"Received: 2.16.0. Install"):
        to_tf_keras(small())


def test_keras_2_by_choice(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow_model_optimization", raising=False)
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.raises(SnareError, match="Received: TF_USE_LEGACY_KERAS=1, which"):
        to_tf_keras(small())


def test_functions_of_keras_need_tensorflow(monkeypatch):
    model = models.chain((4,), layers.Activation("celu", name="act"))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UnsupportedModelError, match=r"'act'.*has to be TensorFlow. Received: jax"):
        to_tf_keras(model)
