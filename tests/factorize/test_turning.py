"""The middle of two layers, turned so that its last units carry least."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_snare
from keras_snare.criteria import score_groups
from keras_snare.criteria.singular_value import SingularValueCriterion
from keras_snare.factorize.pairs import pairs_of
from keras_snare.factorize.turning import turn

layers = keras.layers
RANDOM = np.random.default_rng(0)

# Ranks that both sides can tell apart, and more than one of them can.
MIDDLES = {
    "dense": ((7,), lambda: [layers.Dense(4, use_bias=False), layers.Dense(6, "relu")]),
    "wide": ((3,), lambda: [layers.Dense(5, use_bias=False), layers.Dense(6)]),
    "convolutions": (
        (6, 6, 3),
        lambda: [
            layers.Conv2D(4, (3, 1), padding="same", use_bias=False),
            layers.Conv2D(5, (1, 3), (1, 2), padding="same", activation="tanh"),
        ],
    ),
    "inside": ((7,), lambda: [keras_snare.layers.LowRankDense(6, 4, "tanh")]),
    "onto_more": (
        (6, 3),
        lambda: [layers.Conv1D(3, 1, use_bias=False), layers.Conv1D(2, 3)],
    ),
}


def middle(kind, optimizer="sgd"):
    """A model of two layers that were trained for two steps, its one pair, and a batch."""
    keras.utils.set_random_seed(0)
    shape, make = MIDDLES[kind]
    model = keras.Sequential([keras.Input(shape), *make()])
    model.compile(optimizer, "mse", run_eagerly=True)
    x = RANDOM.normal(size=(9, *shape)).astype("float32")
    y = RANDOM.normal(size=(9, *model.output_shape[1:])).astype("float32")
    for _ in range(2):
        model.train_on_batch(x, y)
    (pair,) = pairs_of(keras_snare.channel_groups(model)).values()
    return model, pair, x, y


def matrices(pair):
    left, right = (keras.ops.convert_to_numpy(one) for one in (pair.first, pair.last))
    ranks = left.shape[-1]
    return left.reshape(-1, ranks), np.moveaxis(right, -2, 0).reshape(ranks, -1)


@pytest.mark.parametrize("kind", MIDDLES)
def test_the_product_stays_and_its_singular_values_lie_in_the_units(kind):
    model, pair, x, _ = middle(kind)
    before, product = model(x), np.matmul(*matrices(pair))
    turn(model, pair)
    np.testing.assert_allclose(model(x), before, atol=1e-5)
    left, right = matrices(pair)
    np.testing.assert_allclose(left @ right, product, atol=1e-5)
    values = np.zeros(left.shape[1])
    found = np.linalg.svd(product, compute_uv=False)[: len(values)]
    values[: len(found)] = found
    np.testing.assert_allclose(left.T @ left, np.diag(values), atol=1e-5)
    np.testing.assert_allclose(right @ right.T, np.diag(values), atol=1e-5)
    group = keras_snare.channel_groups(model)[pair.group]
    (scores,) = score_groups([group], SingularValueCriterion()).values()
    np.testing.assert_allclose(scores, values, atol=1e-5)


def slopes(model, pair, x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.convert_to_tensor(y) - model(x)))
    found = tape.gradient(loss, [pair.first.value, pair.last.value])
    return [one.numpy() for one in found]


@pytest.mark.parametrize("kind", ["dense", "convolutions"])
def test_momenta_are_those_of_the_gradients_there(kind):
    # The learning rate is so small that all gradients are taken at one place.
    optimizer = keras.optimizers.SGD(1e-7, momentum=0.5, use_ema=True)
    model, pair, x, y = middle(kind, optimizer)
    kernels = [pair.first, pair.last]
    turn(model, pair)
    momenta = {one.name: one.numpy() for one in optimizer.variables if "momentum" in one.path}
    for momentum, slope in zip(
        [one for one in momenta.values() if one.ndim > 1], slopes(model, pair, x, y), strict=True
    ):
        np.testing.assert_allclose(momentum / -1.5e-7, slope, rtol=1e-2, atol=1e-4)
    averages = [one for one in optimizer.variables if "average" in one.path and one.ndim > 1]
    for average, kernel in zip(averages, kernels, strict=True):
        np.testing.assert_allclose(average, kernel, atol=1e-5)


OPTIMIZERS = ["adam", "adamw", "adafactor", "rmsprop", "adagrad", "nadam", "lion", "ftrl"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_with_every_optimizer(name):
    optimizer = keras.optimizers.get(name)
    model, pair, x, y = middle("convolutions", optimizer)
    # As two steps leave them, without those that count.
    held = [one for one in optimizer.variables if len(one.shape) > 1]
    squares = [one for one in held if one.numpy().min() >= 0]
    turn(model, pair)
    assert all(one.numpy().min() >= 0 for one in squares)
    assert all(np.isfinite(one.numpy()).all() for one in held)
    losses = [float(model.train_on_batch(x, y)) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_pairs_are_linear_bare_and_read_by_one_layer():
    inputs = keras.Input((6,))
    bare = {"use_bias": False}
    tensors = {
        "biased": layers.Dense(4, name="biased")(inputs),
        "active": layers.Dense(4, "relu", name="active", **bare)(inputs),
        "punished": layers.Dense(4, name="punished", activity_regularizer="l2", **bare)(inputs),
        "held": layers.Dense(4, name="held", kernel_constraint="max_norm", **bare)(inputs),
        "good": layers.Dense(4, name="good", **bare)(inputs),
    }
    read = [layers.Dense(3)(tensor) for tensor in tensors.values()]
    bent = layers.Dense(4, name="bent", **bare)(inputs)
    read.append(layers.Dense(3)(layers.ReLU()(bent)))
    forked = layers.Dense(4, name="forked", **bare)(inputs)
    read += [layers.Dense(3)(forked), layers.Dense(3)(forked)]
    scaled = layers.Dense(4, name="scaled", **bare)(inputs)
    read.append(layers.Dense(3)(layers.BatchNormalization()(scaled)))
    shown = layers.Dense(4, name="shown", **bare)(inputs)
    read.append(layers.Dense(3)(shown))
    model = keras.Model(inputs, [layers.add(read), shown])
    assert list(pairs_of(keras_snare.channel_groups(model))) == ["good"]
    # Every rank of a factorised network is one.
    image = keras.Input((8, 8, 6))
    tensor = layers.Conv2D(8, 3, name="conv")(image)
    model = keras.Model(image, layers.Dense(5, name="last")(layers.Flatten()(tensor)))
    found = keras_snare.factorize(model, "full", method="tucker")
    names = list(pairs_of(keras_snare.channel_groups(found)))
    assert names == ["conv_in", "conv_core", "last_in"]


def test_weights_that_are_not_finite_are_refused():
    model, pair, *_ = middle("dense")
    pair.first.assign(np.full((7, 4), np.nan))
    with pytest.raises(ValueError, match="finite weights. Received: kernels"):
        turn(model, pair)
