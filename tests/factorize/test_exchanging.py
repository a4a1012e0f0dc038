"""What a model with other layers keeps of the model that it was made of."""

import warnings

import keras
import numpy as np
import pytest

import keras_snare
from keras_snare.errors import UnsupportedModelError
from keras_snare.factorize.exchanging import exchanged

layers = keras.layers
X = np.random.default_rng(0).normal(size=(20, 12)).astype("float32")
SMALLER = {
    "factorize": lambda model: keras_snare.factorize(model, 2, layers="one"),
    "to_basis": lambda model: keras_snare.to_basis(model, 4, layers="one"),
}
both = pytest.mark.parametrize("smaller", SMALLER.values(), ids=SMALLER)


class Steps(keras.Sequential):
    def train_step(self, data):
        return {"mine": 1.0}


class Handing(keras.Sequential):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Graph(keras.Model):
    def train_step(self, data):
        return {"mine": 1.0}


class Builds(keras.Model):
    def __init__(self, units=8, **kwargs):
        inputs = keras.Input((12,))
        tensor = layers.Dense(units, "relu", name="one")(inputs)
        super().__init__(inputs, layers.Dense(3, name="two")(tensor), **kwargs)


class BuildsAList(keras.Sequential):
    def __init__(self, units=8):
        super().__init__([keras.Input((12,)), *dense(units)])


def dense(units=8, **settings):
    return [layers.Dense(units, "relu", name="one", **settings), layers.Dense(3, name="two")]


def functional(kind=keras.Model):
    inputs = keras.Input((12,))
    first, last = dense()
    return kind(inputs, last(first(inputs)))


@both
@pytest.mark.parametrize("kind", [Steps, Graph, Handing])
def test_the_class_stays_with_its_own_train_step(kind, smaller):
    is_graph = issubclass(kind, Graph)
    model = functional(kind) if is_graph else kind([keras.Input((12,)), *dense()])
    model.compile("sgd", "mse")
    found = smaller(model)
    assert type(found) is kind
    assert found.compiled
    assert found.name == model.name
    if kind is not Handing:
        assert "mine" in found.fit(X, X[:, :3], verbose=0).history


@both
@pytest.mark.parametrize("kind", [Builds, BuildsAList])
def test_a_class_that_builds_its_layers_is_refused(kind, smaller):
    model = kind()
    with pytest.raises(UnsupportedModelError, match=f"class {kind.__name__} has another constr"):
        smaller(model)
    inputs = keras.Input((12,))
    with pytest.raises(UnsupportedModelError, match=f"class {kind.__name__} has another constr"):
        SMALLER["factorize"](keras.Model(inputs, layers.Dense(2)(model(inputs))))
    plain = keras.Model(model.inputs, model.outputs)
    assert smaller(plain).count_params() < model.count_params()


def test_a_model_inside_keeps_its_class_where_nothing_in_it_is_replaced():
    inputs = keras.Input((12,))
    tensor = layers.Dense(12, name="first")(inputs)
    model = keras.Model(inputs, Builds(name="inner")(tensor))
    model.get_layer("inner").get_layer("two").trainable = False
    found = keras_snare.factorize(model, {"first": 12})
    assert type(found.get_layer("inner")) is Builds
    np.testing.assert_allclose(found(X), model(X), atol=1e-5)
    assert not found.get_layer("inner").get_layer("two").trainable


def test_what_is_trained_and_what_is_frozen_stays_so_at_every_depth():
    inputs = keras.Input((4, 12))
    attention = layers.MultiHeadAttention(2, 6, name="attention")
    tensor = layers.Dense(12, name="open")(attention(inputs, inputs))
    inner = keras.Sequential([keras.Input((4, 12)), *dense()], name="inner")
    model = keras.Model(inputs, inner(tensor))
    model.trainable = False
    inner.trainable = True
    inner.get_layer("one").trainable = False
    attention.trainable = True
    attention.query_dense.trainable = False
    model.get_layer("open").kernel.trainable = True
    for found in (exchanged(model, {}), keras_snare.factorize(model, 1, layers=".*one")):
        attended, copy = found.get_layer("attention"), found.get_layer("inner")
        assert not found.trainable
        assert not found.get_layer("open").trainable
        assert found.get_layer("open").kernel.trainable
        assert attended.trainable
        assert [one.trainable for one in (attended.query_dense, attended.key_dense)] == [
            False,
            True,
        ]
        assert copy.trainable
        assert [layer.trainable for layer in copy.layers][-2:] == [False, True]
    assert [layer.trainable for layer in copy.layers] == [False, False, True]


@both
def test_input_layers_keep_their_names(smaller):
    model = functional()
    name = model.layers[0].name
    assert smaller(model).get_layer(name).name == name
    named = keras.Input((12,), name="features")
    found = smaller(keras.Model({"features": named}, model(named)))
    assert found.get_layer("features").name == "features"
    assert found({"features": X}).shape == (20, 3)


@both
def test_functional_models_with_losses_that_keras_cannot_find_again(smaller):
    model = functional()
    model.compile("sgd", lambda y, predicted: predicted - y)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = smaller(model)
    assert any("The new model is not compiled" in str(one.message) for one in said)
    assert not found.compiled


class Unregistered(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype)


@both
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_initializer": keras.initializers.Constant(np.ones((12, 8)))},
        {"kernel_initializer": Unregistered()},
        {"activation": lambda x: x + 1},
    ],
    ids=["array", "initializer", "lambda"],
)
@pytest.mark.parametrize("place", ["one", "other"])
def test_settings_that_keras_cannot_find_again(place, settings, smaller):
    plain = {"activation": "relu", "name": "one"}
    first = layers.Dense(8, **(plain | (settings if place == "one" else {})))
    rest = [layers.Dense(12), layers.Dense(8, **settings)] if place == "other" else []
    model = keras.Sequential([keras.Input((12,)), first, *rest])
    found = smaller(model)
    if "activation" in settings:
        assert found.layers[-1].activation is settings["activation"]
    same = exchanged(model, {})
    np.testing.assert_array_equal(same(X), model(X))


class Forgets(layers.Layer):
    """A layer that does not state what its constructor needs."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return {"name": self.name}


@both
def test_layers_that_cannot_be_built_again_are_refused(smaller):
    model = keras.Sequential([keras.Input((12,)), *dense(), Forgets(2.0, name="own")])
    with pytest.raises(UnsupportedModelError, match=r"'own' \(Forgets\), which cannot"):
        smaller(model)
