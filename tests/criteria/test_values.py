"""Scores worked out by hand on a network of four weights a layer."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_snare.criteria import (
    LiveStatistics,
    RandomCriterion,
    get_criterion,
    score_groups,
    statistics,
)
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import channel_groups

# Hidden activations of the two examples: [-2, 2] and [2, -4].
X = np.array([[1, 1], [2, 0]], "float32")
# The loss is the first output, so its derivative by the hidden units is [0.5, 2].
Y = np.array([[1, 0], [1, 0]], "float32")


def _weighted_sum(y_true, y_pred):
    return keras.ops.sum(y_true * y_pred, axis=-1)


@pytest.fixture
def model():
    hidden = layers.Dense(2, name="hidden")
    output = layers.Dense(2, name="output")
    built = keras.Sequential([keras.Input((2,)), hidden, output])
    hidden.set_weights([np.array([[1, -2], [-3, 4]]), np.array([0, 0])])
    output.set_weights([np.array([[0.5, -0.5], [2, 1]]), np.array([7, 7])])
    built.compile("sgd", _weighted_sum, jit_compile=False)
    return built


def _score(model, name, data=None):
    groups = channel_groups(model)
    criterion, chosen = get_criterion(name), [groups["hidden"]]
    found = statistics(model, groups, chosen, criterion, data) if data else None
    return score_groups(chosen, criterion, found)["hidden"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1_in", [4, 6]),
        ("l1_out", [1, 3]),
        ("l1_both", [5, 9]),
        ("l2", [np.sqrt(1 + 9), np.sqrt(4 + 16)]),
        ("fpgm", [np.sqrt(3**2 + 7**2), np.sqrt(3**2 + 7**2)]),
    ],
)
def test_on_weights(model, name, expected):
    np.testing.assert_allclose(_score(model, name), expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("activation", [(2 + 2) / 2, (2 + 4) / 2]),
        ("taylor", [(abs(-2 * 0.5) + abs(2 * 0.5)) / 2, (abs(2 * 2) + abs(-4 * 2)) / 2]),
        ("fisher", [((-2 * 0.5) ** 2 + (2 * 0.5) ** 2) / 4, ((2 * 2) ** 2 + (-4 * 2) ** 2) / 4]),
    ],
)
def test_on_data(model, name, expected):
    np.testing.assert_allclose(_score(model, name, (X, Y)), expected)


def test_taylor_of_a_training_step_takes_the_batch_for_the_example(model):
    # The gradient of this loss does not depend on the hidden activations, so TensorFlow may update
    # their weights before it computes them; without a learning rate that shows nowhere.
    model.optimizer.learning_rate = 0.0
    live = LiveStatistics(model, get_criterion("taylor"))
    live.follow([channel_groups(model)["hidden"]])
    live.attach()
    model.train_on_batch(X, Y)
    # The mean loss of the batch; products of the two examples cancel out in the first unit.
    np.testing.assert_allclose(live.statistics()["hidden"], [0, abs(4 - 8) / 2], atol=1e-6)
    live.detach()


def test_activation_needs_no_labels(model):
    np.testing.assert_allclose(_score(model, "activation", (X,)), [2, 3])


def test_activation_adds_up_positions_and_averages_examples():
    conv = layers.Conv1D(2, 1, use_bias=False, name="hidden")
    model = keras.Sequential(
        [keras.Input((3, 1)), conv, layers.Conv1D(1, 1, name="next"), layers.Flatten()]
    )
    conv.set_weights([np.array([[[1, -2]]])])
    x = np.array([[[1], [-2], [3]], [[0], [0], [-1]]], "float32")
    np.testing.assert_allclose(_score(model, "activation", (x,)), [(6 + 1) / 2, (12 + 2) / 2])


def test_apoz_counts_positions_that_are_not_zero():
    conv = layers.Conv1D(2, 1, activation="relu", use_bias=False, name="hidden")
    model = keras.Sequential(
        [keras.Input((3, 1)), conv, layers.Conv1D(1, 1, name="next"), layers.Flatten()]
    )
    conv.set_weights([np.array([[[1, -2]]])])
    x = np.array([[[1], [-2], [3]], [[0], [0], [-1]]], "float32")
    np.testing.assert_allclose(_score(model, "apoz", (x,)), [2 / 6, 2 / 6])
    x[1, 0] = 5
    np.testing.assert_allclose(_score(model, "apoz", (x,)), [3 / 6, 2 / 6])


def _line(weights):
    """Units whose incoming weights lie on a line."""
    hidden = layers.Dense(len(weights), name="hidden")
    model = keras.Sequential([keras.Input((1,)), hidden, layers.Dense(1)])
    hidden.kernel.assign(np.array([weights], "float32"))
    return model


def test_batchnorm_scale_adds_up_what_a_channel_passes():
    model = keras.Sequential(
        [
            keras.Input((2, 1)),
            layers.Conv1D(2, 1, name="hidden"),
            layers.BatchNormalization(name="first"),
            layers.Flatten(),
            layers.BatchNormalization(name="second"),
            layers.Dense(1),
        ]
    )
    model.get_layer("first").gamma.assign([-1.0, 2.0])
    # Position by position, both channels.
    model.get_layer("second").gamma.assign([10.0, 20.0, -30.0, 40.0])
    np.testing.assert_allclose(_score(model, "batchnorm_scale"), [1 + 10 + 30, 2 + 20 + 40])


@pytest.mark.parametrize("norm", [[], [layers.BatchNormalization(scale=False)]], ids=len)
def test_batchnorm_scale_needs_a_scale(norm):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3, name="hidden"), *norm])
    model.add(layers.Dense(1))
    with pytest.raises(UnsupportedModelError, match="behind layer 'hidden' there is none. Leave"):
        _score(model, "batchnorm_scale")


def test_fpgm_of_units_on_a_line():
    np.testing.assert_allclose(_score(_line([0, 1, 10]), "fpgm"), [11, 10, 19], rtol=1e-6)


def test_fpgm_works_block_by_block():
    weights = np.random.default_rng(0).normal(size=600)
    found = _score(_line(weights), "fpgm")
    single = weights.astype("float32")
    expected = np.abs(single[:, None] - single.astype("float64")).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def _coupled():
    """Two layers that are added up make the units, and each of them has weights."""
    inputs = keras.Input((1,))
    one, other = (layers.Dense(2, name=name)(inputs) for name in ("hidden", "other"))
    model = keras.Model(inputs, layers.Dense(1)(layers.Add()([one, other])))
    model.get_layer("hidden").kernel.assign([[3.0, 1.0]])
    model.get_layer("other").kernel.assign([[4.0, -2.0]])
    return model


@pytest.mark.parametrize(
    ("name", "expected"),
    [("l1_in", [7, 3]), ("l2", [5, np.sqrt(5)]), ("fpgm", [2 + 6, 2 + 6])],
)
def test_layers_that_are_coupled_count_together(name, expected):
    np.testing.assert_allclose(_score(_coupled(), name), expected, rtol=1e-6)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_biases_do_not_count(bias):
    hidden = layers.Dense(2, use_bias=bias, name="hidden")
    model = keras.Sequential([keras.Input((1,)), hidden, layers.Dense(1)])
    hidden.set_weights([np.array([[2.0, -3.0]]), *([np.array([100.0, 100.0])] if bias else [])])
    np.testing.assert_allclose(_score(model, "l1_in"), [2, 3])


def test_weights_of_a_layer_that_is_used_twice_count_once():
    hidden = layers.Dense(2, name="hidden")
    reader = layers.Dense(1, name="reader")
    inputs = [keras.Input((1,)), keras.Input((1,))]
    outputs = [reader(hidden(one)) for one in inputs]
    model = keras.Model(inputs, outputs)
    hidden.set_weights([np.array([[2.0, -3.0]]), np.zeros(2)])
    reader.set_weights([np.array([[5.0], [-7.0]]), np.zeros(1)])
    np.testing.assert_allclose(_score(model, "l1_in"), [2, 3])
    np.testing.assert_allclose(_score(model, "l1_out"), [5, 7])


def _random(seed, name="hidden", width=4):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(width, name=name), layers.Dense(1)])
    groups = channel_groups(model)
    return score_groups([groups[name]], RandomCriterion(seed))[name]


def test_random_depends_on_seed_name_and_width_alone():
    np.testing.assert_array_equal(_random(3), _random(3))
    assert ((_random(3) >= 0) & (_random(3) < 1)).all()
    assert not np.array_equal(_random(3), _random(4))
    assert not np.array_equal(_random(3), _random(3, name="other"))
    assert not np.array_equal(_random(3), _random(3, width=5)[:4])


@pytest.mark.parametrize("seed", [-1, 0.5, "a", None])
def test_random_refuses_a_bad_seed(seed):
    with pytest.raises(ValueError, match="The seed is an integer, 0 or more. Received: seed="):
        RandomCriterion(seed)


@pytest.mark.parametrize(
    ("name", "expected"), [("taylor", "TaylorCriterion()"), ("random", "RandomCriterion(seed=0)")]
)
def test_repr(name, expected):
    assert repr(get_criterion(name)) == expected
