"""The price of bits, and rounding in the training step, against sums and TensorFlow's gradients."""

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_snare.codec.coding import from_integers, to_integers
from keras_snare.layers.cosines import spectrum as stored_spectrum
from keras_snare.rate import RatedStep, RatedWeight, places_of
from keras_snare.rate.bits import laplace_bits, laplace_slopes
from keras_snare.rate.cosines import spectrum, values_of

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(32, 4, 3)).astype("float32")
Y = RANDOM.integers(0, 3, 32)


@pytest.mark.parametrize("decay", [0.05, 1.0, 8.0])
def test_bits_are_those_of_a_distribution(decay):
    """The probabilities of all whole numbers make one, and slopes are those of the bits."""
    whole = np.arange(-400, 401.0)
    bits = np.asarray(laplace_bits(whole, np.full_like(whole, decay)))
    assert np.sum(2.0**-bits) == pytest.approx(1, abs=1e-5)
    units = RANDOM.normal(size=50)
    decays = np.full_like(units, decay)

    def slope(near, step):
        above, below = (np.asarray(laplace_bits(*near(sign * step))) for sign in (1, -1))
        return (above - below) / (2 * step)

    by_units, by_decay = map(np.asarray, laplace_slopes(units, decays))
    found = slope(lambda step: (units + step, decays), 1e-5)
    np.testing.assert_allclose(by_units, found, rtol=1e-3, atol=1e-4)
    found = slope(lambda step: (units, decays * np.exp(step)), 1e-5)
    np.testing.assert_allclose(by_decay, found, rtol=1e-3, atol=1e-4)
    assert np.asarray(laplace_slopes(np.zeros(1), np.full(1, decay))[0]) == [0]


@pytest.mark.parametrize("grid", [(12,), (3, 4), (3, 2, 2)])
def test_basis_is_that_of_the_file(grid):
    values = RANDOM.normal(size=(12, 5)).astype("float32")
    found = np.asarray(spectrum(values, grid))
    np.testing.assert_allclose(found, stored_spectrum(values, grid), atol=1e-5)
    np.testing.assert_allclose(np.asarray(values_of(found, grid)), values, atol=1e-5)


def network(optimizer, **settings):
    keras.utils.set_random_seed(0)
    model = models.chain(
        (4, 3),
        layers.Rescaling(1.0),
        layers.Flatten(),
        layers.Dense(6, "relu", name="a", bias_initializer="normal"),
        layers.Dense(3, name="b"),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **settings)
    return model


def test_places_have_the_grids_of_pixels():
    model = network("sgd")
    found = {one.name.split("/", 1)[1]: one.basis for one in places_of(model)}
    assert found == {"a/kernel": (4, 3), "b/kernel": None, "a/bias": None, "b/bias": None}
    path = model.get_layer("b").kernel.path
    assert [one.basis for one in places_of(model, "b", {path: (2, 3)})] == [(2, 3), None]
    assert not any(one.basis for one in places_of(model, cosines=False))


@pytest.mark.parametrize("price", [0.0, 0.01])
def test_step_is_that_of_loss_and_price(price):
    """Plain descent moves the exact numbers by the gradient that TensorFlow finds."""
    model = network(keras.optimizers.SGD(0.5))
    weights = [RatedWeight(one) for one in places_of(model)]
    for one in weights:
        for parameter in one.parameters[1:]:
            parameter.assign(RANDOM.normal(size=parameter.shape) / 3)
    step = RatedStep(model, weights, price)
    step.attach()
    exact = [tf.constant(np.asarray(one.latent.value)) for one in weights]
    parameters = [[tf.constant(np.asarray(p.value)) for p in one.parameters] for one in weights]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([exact, parameters])
        shown, bits = {}, 0.0
        for one, numbers, (logarithm, *spreads) in zip(weights, exact, parameters, strict=True):
            ratio = tf.constant(one.coding.step) / tf.exp(logarithm)
            size = tf.exp(logarithm) * tf.stop_gradient(tf.cast(ratio, "float32"))
            units = numbers / size
            bits += tf.reduce_sum(laplace_bits(units, tf.exp(-sum(spreads))))
            bits += sum(5 * tf.reduce_sum(tf.sqrt(one**2 + 0.01) - 0.1) for one in spreads[1:])
            # What rounding adds is taken for constant, in units of the step.
            rounded = numbers + size * tf.stop_gradient(tf.round(units) - units)
            basis = one.place.basis
            shown[one.place.name] = rounded if basis is None else values_of(rounded, basis)
        a, b, c, d = (shown[one.path] for one in model.trainable_variables)
        logits = tf.nn.relu(X.reshape(-1, 12) @ a + b) @ c + d
        loss = model.loss(Y, logits) + price * bits
    slopes = tape.gradient(loss, exact)
    expected = [numbers - 0.5 * slope for numbers, slope in zip(exact, slopes, strict=True)]
    for one in model.trainable_variables:
        np.testing.assert_allclose(np.asarray(one.value), shown[one.path], atol=1e-6)
    assert step.bits() == pytest.approx(float(bits), rel=1e-5)
    reported = model.train_on_batch(X, Y)
    assert reported == pytest.approx(float(loss - price * bits), rel=1e-5)
    for one, numbers in zip(weights, expected, strict=True):
        np.testing.assert_allclose(np.asarray(one.latent.value), numbers, atol=1e-5)
    # Adam's first move has the sign of the gradient.
    for one, before, found in zip(
        weights, parameters, tape.gradient(loss, parameters), strict=True
    ):
        for parameter, old, slope in zip(one.parameters, before, found, strict=True):
            moved, slope = np.asarray(parameter.value) - np.asarray(old), np.asarray(slope)
            clear = abs(slope) > 1e-5
            assert (np.sign(moved[clear]) == -np.sign(slope[clear])).all()
    step.detach()


def test_exact_numbers_stay_while_the_optimizer_stands_still():
    """Rounding shows in the model and nowhere else; the model holds what a file gives back."""
    model = network(keras.optimizers.SGD(0.0), jit_compile=False)
    weights = [RatedWeight(one) for one in places_of(model)]
    before = [np.asarray(one.latent.value) for one in weights]
    step = RatedStep(model, weights, 0.01)
    step.attach()
    model.make_train_function(force=True)
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    for one, numbers in zip(weights, before, strict=True):
        np.testing.assert_allclose(np.asarray(one.latent.value), numbers, atol=1e-7)
        value, coding = np.asarray(one.variable.value), one.coding
        stored = from_integers(to_integers(value, coding), coding, value.shape, "float32")
        np.testing.assert_allclose(value, stored, atol=1e-5)
    assert float(ops.sum(weights[0].bits())) > 0
    step.detach()


def test_lines_that_no_file_gives_back_are_refused():
    model = keras.Sequential([keras.Input((5000,)), keras.layers.Dense(1, name="long")])
    path = model.get_layer("long").kernel.path
    with pytest.raises(ValueError, match="lines of at most 4096 places"):
        places_of(model, None, {path: (5000,)})
    assert [one.basis for one in places_of(model, None, {path: (50, 100)})] == [(50, 100), None]
