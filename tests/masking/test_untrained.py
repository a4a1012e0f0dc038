"""Criteria for networks before their training, and `obd`: by hand and against TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import compiled, random_data, same, state_of

import keras_snare
from keras_snare.masking import get_connection_criterion, kernels_of
from keras_snare.masking.criteria import (
    GraSPCriterion,
    OBDConnectionCriterion,
    SNIPCriterion,
    SynFlowConnectionCriterion,
)

layers = keras.layers


def _line(weights, bias=0.5):
    """One unit without an activation, on the mean of squared errors."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="unit")])
    model.layers[0].set_weights([np.array(weights).reshape(2, 1), np.array([bias])])
    model.compile("sgd", "mse")
    return model


X = np.array([[1.0, 2.0], [3.0, -1.0]], dtype="float32")
Y = np.array([[2.0], [1.0]], dtype="float32")


def _scores(name, model, data):
    criterion = get_connection_criterion(name)
    kernels = kernels_of(model)
    measured = criterion.measure(model, kernels, data)
    weights = {one.name: one.variable.numpy() for one in kernels}
    return {
        one.name: criterion.score(one, weights[one.name], measured[one.name]) for one in kernels
    }


def test_by_hand():
    """With errors e = w·x + b - y: the gradient is 2 mean(e x), the Hessian 2 mean(x xᵀ)."""
    model = _line([1.0, -2.0])
    errors = np.array([1 - 4 + 0.5 - 2, 3 + 2 + 0.5 - 1])
    gradient = 2 * (errors[:, None] * X).mean(axis=0)
    hessian = 2 * (X.T @ X) / 2
    assert gradient.tolist() == [9.0, -13.5]
    found = {name: _scores(name, model, (X, Y))["unit/kernel"].ravel() for name in CRITERIA}
    assert found["snip"].tolist() == [9.0, 27.0]
    # The sign is that of the paper's score turned round, as here the lowest go.
    assert found["grasp"] == pytest.approx([1.0, -2.0] * (hessian @ gradient))
    assert hessian.tolist() == [[10.0, -1.0], [-1.0, 5.0]]
    assert GraSPCriterion().score(None, np.float32([2.0]), np.float32([3.0])) == [6.0]
    exact = OBDConnectionCriterion(probes=None)
    measured = exact.measure(model, kernels_of(model), (X, Y))["unit/kernel"]
    score = exact.score(None, np.array([[1.0], [-2.0]]), measured)
    assert score.ravel() == pytest.approx([10.0 * 1 / 2, 5.0 * 4 / 2])


CRITERIA = ("snip", "grasp")


def _network():
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4, name="first"),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.Dropout(0.5, seed=1),
            layers.Dense(3, "softmax", name="last", kernel_regularizer="l2"),
        ]
    )
    return compiled(model, "adam")


def _without_dropout(model):
    """The same model, to be differentiated as a whole."""
    model.get_layer(index=3).rate = 0.0
    return model


def test_gradient_and_curvature_of_the_loss_in_training():
    model = _without_dropout(_network())
    x, y = random_data(model, 12)
    kernels = kernels_of(model)
    held = [one.variable.value for one in kernels]
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True), training=True)
        slopes = tape.gradient(loss, held)
        flat = tf.concat([tf.reshape(one, [-1]) for one in slopes], axis=0)
    rows = [outer.jacobian(flat, one) for one in held]
    hessian = np.concatenate([row.numpy().reshape(len(flat), -1) for row in rows], axis=1)
    weights = np.concatenate([one.numpy().ravel() for one in held])
    expected = {
        "snip": np.abs(weights * flat.numpy()),
        "grasp": weights * (hessian @ flat.numpy()),
    }
    for name, score in expected.items():
        found = _scores(name, model, (x, y))
        found = np.concatenate([found[one.name].ravel() for one in kernels])
        assert found == pytest.approx(score, rel=1e-3, abs=1e-6)


def test_gradients_are_the_mean_over_all_examples():
    model, data = _line([1.0, -2.0]), (X[[0, 1, 1]], Y[[0, 1, 1]])
    whole, parts = (
        SNIPCriterion(batch_size=size).measure(model, kernels_of(model), data) for size in (3, 2)
    )
    assert parts["unit/kernel"] == pytest.approx(whole["unit/kernel"])


@pytest.mark.parametrize("name", ["snip", "grasp", "obd", "synflow", "taylor"])
def test_the_model_is_only_read(name):
    """Not even the statistics of the normalisation, or the seeds of the dropout, in training."""
    model = _network()
    data = random_data(model, 12)
    model.fit(*data, verbose=0)
    before = state_of(model), [one.numpy() for one in model.variables]
    metrics = {one.name: float(one.result()) for one in model.metrics if one.name == "loss"}
    found = _scores(name, model, data)
    again = _scores(name, model, data)
    assert same(state_of(model), before[0])
    assert same([one.numpy() for one in model.variables], before[1])
    assert {one.name: float(one.result()) for one in model.metrics if one.name == "loss"} == metrics
    assert all(np.array_equal(found[one], again[one]) for one in found)
    assert all(one.any() for one in found.values())


@pytest.mark.parametrize("name", ["snip", "grasp", "obd"])
def test_data_are_asked_for(name):
    with pytest.raises(ValueError, match=r"looks at data, and received none. Give `data="):
        keras_snare.sparsify(_line([1.0, 2.0]), 0.5, criterion=name)
    with pytest.raises(ValueError, match="looks at data, and a callback does not see those"):
        keras_snare.MagnitudePruneCallback(0.5, criterion=name)
    prune = keras_snare.MagnitudePruneCallback(
        0.5, criterion=name, scoring_data=(X, Y), schedule="one_shot"
    )
    model = _line([1.0, -2.0])
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[prune])
    lowest = np.argmin(_scores(name, _line([1.0, -2.0]), (X, Y))["unit/kernel"])
    assert prune.masks["unit/kernel"].ravel().tolist() == [lowest == 1, lowest == 0]


@pytest.mark.parametrize(
    ("criterion", "name"),
    [
        (SNIPCriterion, "batch_size"),
        (GraSPCriterion, "batch_size"),
        (SynFlowConnectionCriterion, "size"),
    ],
)
def test_a_wrong_size_is_refused(criterion, name):
    for size in (0, 1.5, True):
        message = f"`{name}` is an integer, 1 or more. Received: {name}="
        with pytest.raises(ValueError, match=message):
            criterion(**{name: size})
