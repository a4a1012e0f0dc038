"""Every small model of the tests has a twin that computes and learns the same, or is refused."""

import keras
import models
import numpy as np
import pytest
from bridging import assert_same, outputs_of
from known_models import resnet8

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize import to_tf_keras

layers = keras.layers

NO_EQUAL = """activity_regularization adaptive attention behind_a_wall bidirectional conv_lstm cross
dct encoder_decoder grouped_query gru kronecker low_rank lstm rms rnn self_attention simple_rnn
spectral tied_embedding time_distributed transformer_block untied_embedding""".split()
REFUSED = {
    **dict.fromkeys(NO_EQUAL, "no equal of it in tf_keras is known here"),
    "channels_first": "data_format='channels_first'",
    "regularized": "'dense' .Dense.: activity_regularizer",
}


def reason(name):
    return next((told for start, told in REFUSED.items() if name.startswith(start)), None)


@pytest.mark.parametrize("name", [name for name in models.SMALL if reason(name) is None])
def test_twin_computes_and_learns_the_same(name):
    model = models.build(name)
    inputs = keras.tree.map_structure(
        np.abs if name == "embedded" else np.asarray, models.inputs_for(model)
    )
    twin = assert_same(model, inputs)
    assert all(type(one).__module__.startswith("tf_keras") for one in twin.model.layers) or any(
        one.__class__.__name__ == "KerasFunction" for one in twin.model.layers
    )


@pytest.mark.parametrize("name", [name for name in models.SMALL if reason(name)])
def test_model_without_an_equal_is_refused(name):
    with pytest.raises(UnsupportedModelError, match=reason(name)):
        to_tf_keras(models.build(name))


def nested():
    block = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(2, 3, padding="same"), layers.BatchNormalization()],
        name="block",
    )
    inputs = keras.Input((6, 6, 2), name="an image")
    twice = layers.ReLU(name="block_conv2d")(block(block(inputs)))
    return keras.Model(inputs, [twice, block.layers[0](twice)], name="a model")


def test_nested_models_lie_flat_and_shared_layers_are_shared():
    model = models.randomize(nested())
    twin = assert_same(model)
    kinds = [type(one).__name__ for one in twin.model.layers]
    assert sorted(kinds) == ["BatchNormalization", "Conv2D", "InputLayer", "ReLU"]
    assert len(twin.pairs) == len(model.weights) == len(twin.model.weights)
    assert len({one.name for one in twin.model.layers}) == 4
    assert twin.model.inputs[0].name == "an_image"
    conv = next(one for one in twin.model.layers if type(one).__name__ == "Conv2D")
    assert conv.name in twin.names[f"block/{model.get_layer('block').layers[0].name}"]


def test_deep_model_of_known_patterns():
    model = models.randomize(resnet8())
    inputs = models.inputs_for(model, size=2)
    found = outputs_of(model, to_tf_keras(model), inputs)
    np.testing.assert_allclose(found[1][0], found[0][0], atol=1e-5)


def test_fixed_batch_and_free_axes_are_carried_over():
    inputs = keras.Input((None, None, 2), batch_size=3)
    hidden = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    model = keras.Model(inputs, layers.GlobalMaxPooling2D()(hidden))
    twin = assert_same(model, np.random.default_rng(0).normal(size=(3, 5, 7, 2)).astype("float32"))
    assert tuple(twin.model.inputs[0].shape) == (3, None, None, 2)
    assert twin.model.inputs[0].name == "input"


def test_frozen_parts_stay_frozen():
    inner = models.chain((4,), layers.Dense(3), layers.BatchNormalization(), name="inner")
    inner.trainable = False
    model = models.chain((4,), inner, layers.Dense(2))
    twin = assert_same(model)
    assert len(twin.model.trainable_variables) == len(model.trainable_variables) == 2
    inner.layers[0].trainable = True
    assert len(assert_same(model).model.trainable_variables) == len(model.trainable_variables) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50V2", "EfficientNetB0"])
def test_families_of_applications(name):
    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None)
    x = np.random.default_rng(0).random((2, 64, 64, 3), "float32") * 255
    expected = np.asarray(model(x, training=False))
    gap = np.abs(np.asarray(to_tf_keras(model).model(x)) - expected).max()
    assert gap <= 1e-5 * np.abs(expected).max()
