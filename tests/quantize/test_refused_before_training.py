"""Models and data that no way of training for integers takes: told before anything changes."""

import keras
import numpy as np
import pytest

import keras_snare
from keras_snare import QuantizeAwareCallback, UnsupportedModelError
from keras_snare.quantize.representative import representative_batches

layers = keras.layers
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.random((16, 4)).astype("float32"), np.ones((16, 2), "float32")
IDS = RANDOM.integers(0, 5, (16, 4))


def by_callback(engine):
    def train(model, x, **settings):
        callback = QuantizeAwareCallback(0, engine=engine, **settings)
        model.fit(x, Y, batch_size=8, verbose=0, callbacks=[callback])

    return train


def by_tf_keras(model, x, **settings):
    keras_snare.quantize_aware_train(model, (x, Y), batch_size=8, verbose=0, **settings)


WAYS = {"tfmot": by_callback("tfmot"), "keras": by_callback("keras"), "train": by_tf_keras}
each_way = pytest.mark.parametrize("train", WAYS.values(), ids=WAYS)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


def compiled(model):
    model.compile("sgd", "mse")
    return model


def built():
    model = Subclassed()
    model(X)
    return model


@each_way
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, r"Sequential or functional model.*subclassed \(Subclassed\)"),
        (built, r"Sequential or functional model.*subclassed \(Subclassed\)"),
        (lambda: keras.Sequential([layers.Dense(2)]), r"a model that is built.*no graph yet"),
    ],
    ids=["subclassed", "called", "not_built"],
)
def test_model_without_a_graph(make, message, train):
    with pytest.raises(UnsupportedModelError, match=message):
        train(compiled(make()), X, path=None, representative_data=X)


def test_what_is_no_model():
    with pytest.raises(UnsupportedModelError, match="a Keras 3 model. Received: builtins.int"):
        keras_snare.quantize_aware_train(3, (X, Y))


def of_eight():
    return compiled(keras.Sequential([keras.Input(batch_shape=(8, 4)), layers.Dense(2)]))


@each_way
def test_representative_data_that_fill_no_batch(train, tmp_path):
    model = of_eight()
    before = model.get_weights()
    data = iter([X[:4], X[4:8]])
    with pytest.raises(ValueError, match=r"at least 8 examples.*Received: 4, 4\. Give larger"):
        train(model, X, path=tmp_path / "m.tflite", representative_data=data)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_training_in_batches_that_fill_none_of_the_model(tmp_path):
    model = of_eight()
    before = model.get_weights()
    callback = QuantizeAwareCallback(0, path=tmp_path / "m.tflite", engine="keras")
    with pytest.raises(ValueError, match=r"at least 8 examples.*Received: 4, 4"):
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=[callback])
    assert all(map(np.array_equal, before, model.get_weights()))
    callback = QuantizeAwareCallback(0, path=None, engine="keras")
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[callback])
    with pytest.raises(ValueError, match=r"at least 8 examples.*Received: 4, 4"):
        callback.export(tmp_path / "m.tflite")


def two_inputs():
    inputs = [keras.Input((4,)), keras.Input((2,))]
    return keras.Model(inputs, layers.Concatenate()(inputs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [X, Y[:9]], r"as many examples.*shapes \(16, 4\), \(9, 2\)\."),
        (lambda: [X[:9], Y], r"as many examples.*shapes \(9, 4\), \(16, 2\)\."),
        (lambda: iter([(([X, Y[:9]]), Y)]), r"as many examples.*shapes \(16, 4\), \(9, 2\)\."),
        (lambda: [X, np.full((16, 2), np.nan)], r"NaN or infinity for model.inputs\[1\]\. Leave"),
        (lambda: iter([[X, Y], [X / 0, Y]]), r"NaN or infinity for model.inputs\[0\]\. Leave"),
    ],
    ids=["fewer", "more", "in_a_batch", "nan", "infinity"],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_representative_data_that_are_wrong_in_themselves(make, message):
    with pytest.raises(ValueError, match=message):
        representative_batches(two_inputs(), make())


def tokens():
    embedding = layers.Embedding(5, 3, name="embedding")
    inputs = keras.Input((4,), dtype="int32", name="ids")
    outputs = layers.Dense(2, name="out")(layers.Flatten()(embedding(inputs)))
    return compiled(keras.Model(inputs, outputs))


@pytest.mark.parametrize("way", [pytest.param("tfmot", marks=pytest.mark.slow), "train"])
def test_inputs_of_integers_are_refused_with_what_helps(way, tmp_path):
    model, path = tokens(), tmp_path / "m.tflite"
    before = model.get_weights()
    message = r"inputs of floats.*'ids', which is int32 and read by embedding\. Take .*'keras'"
    with pytest.raises(UnsupportedModelError, match=message):
        WAYS[way](model, IDS, path=path)
    assert all(map(np.array_equal, before, model.get_weights()))
    WAYS[way](model, IDS, path=path, layers="out")
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert path.stat().st_size > 0
