"""A copy computes what the model does, cut or not, and has weights of its own."""

import composite_models
import keras
import numpy as np
import pytest
from training import MODELS

import keras_snare
from keras_snare import UnsupportedModelError
from keras_snare.distillation import copied
from keras_snare.layers import FeatureSelection

layers = keras.layers


class Own(keras.Model):
    """A subclassed model that states its configuration."""

    def __init__(self, units=5, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden, self.answer = layers.Dense(units, "relu"), layers.Dense(3)

    def call(self, inputs):
        return self.answer(self.hidden(inputs))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def _own():
    model = Own()
    model(np.zeros((1, 4)))
    return model


def _selecting():
    return keras.Sequential([keras.Input((4,)), FeatureSelection([0, 2]), layers.Dense(3)])


KINDS = {**MODELS, "blocks": lambda: composite_models.build("nested"), "own": _own}


def _input(model, seed=0):
    shape = getattr(model, "input_shape", (None, 4))
    return np.random.default_rng(seed).normal(size=(2, *shape[1:])).astype("float32")


@pytest.mark.parametrize("cut", [False, True], ids="whole cut".split())
@pytest.mark.parametrize("kind", [*KINDS, "selecting"])
def test_it_answers_as_the_model(kind, cut):
    model = _selecting() if kind == "selecting" else KINDS[kind]()
    if cut and kind != "selecting":
        keras_snare.prune(model, 0.4)
    for weight in model.weights:
        weight.assign(weight + 0.1)
    x = _input(model)
    copy = copied(model)
    expected = np.array(model(x, training=False))
    np.testing.assert_array_equal(copy(x, training=False), expected)
    assert not {id(one) for one in copy.weights} & {id(one) for one in model.weights}
    assert copy.trainable_weights == []
    for weight in model.weights:
        weight.assign(weight * 0)
    np.testing.assert_array_equal(copy(x, training=False), expected)


def test_a_model_that_cannot_be_built_again():
    model = Own()
    model(np.zeros((1, 4)))
    model.units = "five"
    with pytest.raises(
        UnsupportedModelError, match=r"(?s)copies the model, and 'own' \(Own\) cann"
    ):
        copied(model)
