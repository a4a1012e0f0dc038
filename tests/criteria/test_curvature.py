"""Second derivatives against the whole Hessian, which TensorFlow finds row by row."""

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from fitting import digit_model, short_fit, widths
from keras import layers
from training import MODELS, compiled, flat_digits, random_data

import keras_snare
from keras_snare.criteria import (
    CRITERIA,
    HessianCriterion,
    OBDCriterion,
    diagonal_curvature,
    statistics,
)
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import channel_groups


def hessian(model, x, y):
    """The Hessian of the mean loss by all trainable weights, one behind the other."""
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as inner:
            loss = model.compute_loss(y=y, y_pred=model(x, training=False))
        slopes = [tf.reshape(one, [-1]) for one in inner.gradient(loss, variables)]
    zero = tf.UnconnectedGradients.ZERO
    rows = [outer.jacobian(one, variables, zero, experimental_use_pfor=False) for one in slopes]
    return np.block(
        [
            [np.reshape(part, (int(slope.shape[0]), -1)) for part in row]
            for slope, row in zip(slopes, rows, strict=True)
        ]
    )


def diagonal(model, data, probes, **options):
    graph = channel_groups(model).trace
    found = diagonal_curvature(model, graph, model.trainable_variables, data, probes, **options)
    assert [one.shape for one in found] == [tuple(one.shape) for one in model.trainable_variables]
    return np.concatenate([one.reshape(-1) for one in found])


def regularized():
    model = models.build("regularized")
    model.compile("sgd", "mse", jit_compile=False)
    x = models.inputs_for(model, 7)
    return model, x, np.ones((7, 3), "float32")


def classifier(kind):
    model = compiled(MODELS[kind]())
    return model, *random_data(model, 7)


@pytest.mark.parametrize("kind", ["dense", "flatten", "regularized"])
def test_exact_derivatives_are_the_diagonal(kind):
    model, x, y = regularized() if kind == "regularized" else classifier(kind)
    # Activity is regularized by the sum over the batch: there, batches have to be of one size.
    expected = np.diag(hessian(model, x, y))
    size = 7 if kind == "regularized" else 3
    found = diagonal(model, (x, y), None, batch_size=size)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=1e-5 * largest, rtol=1e-4)
    # The loss is convex, and the activation ReLU.
    assert kind != "dense" or found.min() > -1e-5 * largest


def test_probes_give_the_diagonal_with_the_error_that_is_stated():
    model, x, y = classifier("dense")
    halves = [hessian(model, x[part], y[part]) for part in (slice(4), slice(4, None))]
    probes, share = 50, np.array([4, 3]) / 7
    expected = sum(part * np.diag(half) for part, half in zip(share, halves, strict=True))
    others = [np.square(half).sum(axis=1) - np.diag(half) ** 2 for half in halves]
    variance = sum(part**2 * one for part, one in zip(share, others, strict=True)) / probes
    seen = variance > 1e-12
    repeats = range(6)
    found = [diagonal(model, (x, y), probes, batch_size=4, seed=seed) for seed in repeats]
    errors = (np.array(found) - expected)[:, seen] / np.sqrt(variance[seen])
    assert not np.allclose(found[0], found[1])
    # Errors of standard deviation 1; those of weights of one unit are alike.
    assert np.abs(errors).max() < 5.5
    assert abs(np.mean(errors)) < 0.15
    assert 0.8 < np.mean(np.square(errors)) < 1.2
    assert np.abs(errors.mean(axis=0)).max() < 5 / np.sqrt(len(repeats))
    again = diagonal(model, (x, y), probes, batch_size=4, seed=repeats[-1])
    np.testing.assert_array_equal(found[-1], again)


def test_by_hand_and_in_every_form_of_data():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = np.array([[1, 2], [3, -4], [0, 1]], "float32"), np.zeros((3, 1), "float32")
    expected = [2 * (1 + 9 + 0) / 3, 2 * (4 + 16 + 1) / 3]
    dataset = tf.data.Dataset.from_tensor_slices((x, y))
    for data in ((x, y), dataset.batch(2), dataset.batch(1)):
        np.testing.assert_allclose(diagonal(model, data, None, batch_size=2), expected, rtol=1e-6)


def quadratic():
    """What reads the units is linear, and so is what follows; the loss is quadratic."""
    inputs = keras.Input((5, 5, 2))
    hidden = layers.Conv2D(4, 2, activation="tanh", name="hidden")(inputs)
    read = layers.Conv2D(3, 2, name="read")(layers.BatchNormalization()(hidden))
    pooled = layers.GlobalAveragePooling2D()(read)
    model = keras.Model(inputs, layers.Dense(2, name="last")(pooled))
    model.compile("sgd", "mse", run_eagerly=True)
    return models.randomize(model)


def test_hessian_is_the_change_of_a_quadratic_loss():
    model = quadratic()
    x, y = models.inputs_for(model, 9), np.ones((9, 2), "float32")
    groups = channel_groups(model)
    found, same, estimated = (
        statistics(model, groups, [groups["hidden"]], criterion, (x, y), 4)["hidden"]
        for criterion in (HessianCriterion(None), HessianCriterion(4), HessianCriterion(3))
    )
    # No more units than probes.
    np.testing.assert_array_equal(same, found)
    assert not np.allclose(estimated, found, rtol=1e-3)
    before, kernel = model.evaluate(x, y, verbose=0), model.get_layer("read").kernel.numpy()
    for unit in range(4):
        cut = kernel.copy()
        cut[:, :, unit] = 0
        model.get_layer("read").kernel.assign(cut)
        change = model.evaluate(x, y, verbose=0) - before
        np.testing.assert_allclose(found[unit], change, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["hessian", "obd"])
@pytest.mark.parametrize(
    "kind", ["several_ends", "tied_embedding", pytest.param("gru", marks=pytest.mark.slow)]
)
def test_other_architectures(name, kind):
    model = models.build(kind)
    model.compile("sgd", "mse", jit_compile=False)
    x = models.inputs_for(model)
    y = keras.tree.map_structure(lambda one: np.zeros(one.shape), model(x))
    report = keras_snare.prune(model, 0.4, criterion=CRITERIA.get(name)(probes=2), data=(x, y))
    assert report.params_after < report.params_before


@pytest.mark.parametrize("name", ["hessian", "obd"])
def test_a_search_on_data_of_its_own(name):
    model = digit_model(run_eagerly=True)
    (x, y), _ = flat_digits(200, 100)
    options = {"eps": 1.0, "retrain_epochs": 1, "max_trials": 1, "layers": "hidden2"}
    criterion = CRITERIA.get(name)(probes=3)
    with pytest.raises(
        ValueError, match=r"looks at data, and a callback .* `scoring_data=\(x, y\)`"
    ):
        keras_snare.SnareCallback(criterion=criterion, **options)
    data = x[:20], y[:20]
    callback = keras_snare.SnareCallback(criterion=criterion, scoring_data=data, **options)
    short_fit(model, [callback], epochs=2)
    assert callback.report.accepted == 1
    assert widths(model) == [16, 12 - 7, 10]


def test_nothing_stays_with_the_model():
    model, x, y = regularized()
    model.evaluate(x, y, verbose=0)
    before = [variable.numpy() for variable in model.variables]
    diagonal(model, (x, y), 2)
    assert all(tf.is_tensor(loss) and hasattr(loss, "numpy") for loss in model.losses)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_what_has_no_second_derivative_is_named():
    inputs = keras.Input((3, 3, 1))
    hidden = layers.Conv2D(2, 1, name="read")(layers.Conv2D(3, 1, name="hidden")(inputs))
    rare = layers.Lambda(tf.nn.local_response_normalization, (3, 3, 2), name="rare")(hidden)
    model = keras.Model(inputs, layers.Dense(2, name="last")(layers.Flatten()(rare)))
    model.compile("sgd", "mse", jit_compile=False)
    data = np.ones((2, 3, 3, 1), "float32"), np.ones((2, 2), "float32")
    with pytest.raises(UnsupportedModelError, match="TensorFlow lacks one .*LRN.*'taylor'"):
        keras_snare.prune(model, 0.5, criterion="hessian", data=data)
    assert model.get_layer("hidden").filters == 3


@pytest.mark.parametrize("criterion", [HessianCriterion, OBDCriterion])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 0}, "1 or more, or None for exact derivatives. Received: probes=0"),
        ({"probes": 2.5}, "Received: probes=2.5"),
        ({"probes": True}, "Received: probes=True"),
        ({"seed": -1}, "0 or more. Received: seed=-1"),
        ({"seed": "a"}, "Received: seed='a'"),
    ],
    ids=str,
)
def test_wrong_options(criterion, options, message):
    with pytest.raises(ValueError, match=message):
        criterion(**options)
