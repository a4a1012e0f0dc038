"""`fold_constants`: readers keep, in their biases, what removed units gave them with no input."""

import cuts
import keras
import models
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state import assert_same_state, state_of

import keras_snare
from keras_snare.graph import PRODUCER, channel_groups
from keras_snare.surgery import removed_channels

layers = keras.layers


def mute_makers(groups, removed):
    """Sets the kernels that make the channels `removed` to zero; the biases stay."""
    for binding in groups.bindings:
        if binding.role == PRODUCER and len(binding.variable.shape) > 1:
            value = np.moveaxis(binding.variable.numpy(), binding.axis, 0)
            value[np.isin(groups.roots[binding.labels], removed)] = 0.0
            binding.variable.assign(np.moveaxis(value, 0, binding.axis))


def dense_normalized():
    return models.chain(
        (6,),
        layers.Dense(5, "sigmoid", name="unit"),
        layers.BatchNormalization(),
        layers.Activation("tanh"),
        layers.Dropout(0.5),
        layers.Dense(3, name="last"),
    )


def dense_over_time():
    return models.chain(
        (4, 6), layers.Dense(5, "softplus", name="unit"), layers.Dense(3, name="last")
    )


def dense_flattened():
    return models.chain(
        (4, 6), layers.Dense(5, "softplus", name="unit"), layers.Flatten(), layers.Dense(3)
    )


def into_moving_mean():
    return models.chain(
        (6,),
        layers.Dense(5, "sigmoid", name="unit"),
        layers.Dense(4, use_bias=False, name="no_bias"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(),
        layers.Dense(3, name="last"),
    )


def branches():
    inputs = keras.Input((6,))
    one = layers.Dense(5, "sigmoid", name="unit")(inputs)
    other = layers.Dense(4, "softplus", name="other")(inputs)
    joined = layers.Concatenate()([one, other])
    product = layers.Multiply()([one, layers.Dense(5, "sigmoid", name="gate")(inputs)])
    ends = [layers.Dense(3, name="last")(joined), layers.Dense(2, name="side")(product)]
    return keras.Model(inputs, ends)


def conv_pooled():
    return models.chain(
        (8, 8, 2),
        layers.Conv2D(5, 3, activation="sigmoid", name="unit"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Conv2D(4, 2, activation="softplus", name="second"),
        layers.Flatten(),
        layers.Dense(3, name="last"),
    )


def conv_flattened():
    return models.chain(
        (6, 6, 2),
        layers.Conv2D(5, 3, padding="same", activation="softplus", name="unit"),
        layers.AveragePooling2D(3, padding="same"),
        layers.Flatten(),
        layers.Dense(3, name="last"),
    )


def conv_1d():
    return models.chain(
        (9, 2),
        layers.Conv1D(5, 3, activation="sigmoid", name="unit"),
        layers.Conv1D(4, 2, strides=2, dilation_rate=1, name="last"),
    )


def conv_into_moving_mean():
    return models.chain(
        (7, 7, 2),
        layers.Conv2D(5, 2, use_bias=False, name="unit"),
        layers.BatchNormalization(),
        layers.Activation("sigmoid"),
        layers.Conv2D(4, 2, use_bias=False, name="no_bias"),
        layers.BatchNormalization(name="norm"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, name="last"),
    )


def transposed_maker():
    return models.chain(
        (4, 4, 2),
        layers.Conv2DTranspose(5, 2, activation="sigmoid", name="unit"),
        layers.Conv2D(3, 2, name="last"),
    )


DENSE = (
    dense_normalized,
    dense_over_time,
    dense_flattened,
    into_moving_mean,
    branches,
)
CONVOLUTIONS = (conv_pooled, conv_flattened, conv_1d, conv_into_moving_mean, transposed_maker)
BUILDS = {build.__name__: build for build in (*DENSE, *CONVOLUTIONS)}


def build(name):
    keras.utils.clear_session(free_memory=False)
    return models.randomize(BUILDS[name]())


def check(model, reference, plan):
    """Folds in one model, mutes the units in the other; both compute the same in inference."""
    groups = channel_groups(reference)
    mute_makers(groups, removed_channels(groups, plan))
    keras_snare.shrink(model, plan, fold_constants=True)
    inputs = models.inputs_for(model)
    for one, other in zip(
        models.arrays(model(inputs)), models.arrays(reference(inputs)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BUILDS)
@given(data=st.data())
@settings(max_examples=3)
def test_cut_model_computes_what_the_one_with_muted_units_does(name, data):
    model = build(name)
    check(model, build(name), data.draw(cuts.plans(channel_groups(model))))


def test_bias_by_hand():
    model = models.chain((2,), layers.Dense(2, "sigmoid", name="unit"), layers.Dense(2))
    weights = np.ones((2, 2)), [5.0, 0.0], [[1.0, 2.0], [3.0, 4.0]], [10.0, 20.0]
    model.set_weights([np.array(one) for one in weights])
    keras_snare.shrink(model, {"unit": [0]}, fold_constants=True)
    np.testing.assert_allclose(model.layers[-1].bias, [11.5, 22.0])
    np.testing.assert_allclose(model.layers[-1].kernel, [[1.0, 2.0]])


def test_moving_mean_by_hand():
    model = models.chain(
        (2,),
        layers.Dense(2, "sigmoid", name="unit"),
        layers.Dense(2, use_bias=False),
        layers.BatchNormalization(),
    )
    model.layers[0].bias.assign([5.0, 0.0])
    model.layers[1].kernel.assign([[1.0, 2.0], [3.0, 4.0]])
    keras_snare.shrink(model, {"unit": [0]}, fold_constants=True)
    np.testing.assert_allclose(model.layers[-1].moving_mean, [-1.5, -2.0])


def test_without_it_the_bias_stays():
    model = build("dense_normalized")
    bias = model.get_layer("last").bias.numpy()
    keras_snare.shrink(model, {"unit": [0, 1]})
    np.testing.assert_array_equal(model.get_layer("last").bias, bias)


def test_units_that_give_nothing_need_no_bias():
    model = models.chain(
        (6,), layers.Dense(5, "relu", name="unit"), layers.Dense(3, use_bias=False)
    )
    keras_snare.shrink(model, {"unit": [0, 1]}, fold_constants=True)
    assert model.layers[0].units == 2


@pytest.mark.parametrize("name", BUILDS)
def test_restore_returns_to_the_same_state(name):
    model = build(name)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    before = state_of(model)
    undo = keras_snare.shrink(model, {"unit": [0, 3]}, fold_constants=True)
    assert state_of(model)["values"] != before["values"]
    undo.restore()
    assert_same_state(state_of(model), before)


def test_convolution_that_pads_is_exact_away_from_the_border():
    def padded():
        keras.utils.clear_session(free_memory=False)
        reader = layers.Conv2D(3, 3, padding="same")
        maker = layers.Conv2D(5, 2, activation="sigmoid", name="unit")
        return models.randomize(models.chain((6, 6, 2), maker, reader))

    model, reference = padded(), padded()
    groups = channel_groups(reference)
    mute_makers(groups, groups["unit"].roots[2:])
    keras_snare.shrink(model, {"unit": [0, 1]}, fold_constants=True)
    inputs = models.inputs_for(model)
    found, expected = (one(inputs).numpy()[:, 1:-1, 1:-1] for one in (model, reference))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_prune_folds_too():
    model, reference = build("into_moving_mean"), build("into_moving_mean")
    report = keras_snare.prune(model, 0.5, fold_constants=True)
    groups = channel_groups(reference)
    mute_makers(groups, removed_channels(groups, report.plan))
    inputs = models.inputs_for(model)
    np.testing.assert_allclose(model(inputs), reference(inputs), atol=1e-5)
