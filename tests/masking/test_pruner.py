"""Updates of the masks: criteria, regrowth, patterns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import compiled, dense_model, random_data

from keras_snare import ConnectionCriterion, InvalidPlanError, Masks, UnsupportedModelError
from keras_snare.masking import (
    CONNECTION_CRITERIA,
    ConnectionPruner,
    RigL,
    Splicing,
    get_connection_criterion,
    get_pattern,
    get_regrowth,
    kernels_of,
)
from keras_snare.masking.suitable import reading_axes

layers = keras.layers


def _values(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def _pruner(criterion="magnitude", **options):
    model = compiled(dense_model(), "sgd")
    return ConnectionPruner(model, get_connection_criterion(criterion), **options)


@pytest.mark.parametrize("name", CONNECTION_CRITERIA.names())
def test_every_criterion_scores_every_connection_and_leaves_the_model_alone(name):
    model = compiled(dense_model(), "sgd")
    before, data = model.get_weights(), random_data(model)
    criterion = get_connection_criterion(name)
    data = data if criterion.needs == "data" else None
    pruner = ConnectionPruner(model, criterion, data=data)
    scores = pruner.scores()
    assert {one: found.shape for one, found in scores.items()} == {
        one.name: one.shape for one in pruner.kernels
    }
    assert all(np.isfinite(found).all() and np.ptp(found) > 0 for found in scores.values())
    again = pruner.scores()
    assert all(np.allclose(scores[one], again[one], rtol=1e-5) for one in scores)
    assert all(map(np.array_equal, before, model.get_weights()))
    masks = pruner.update(0.5)
    for one in pruner.kernels:
        kept = masks[one.name]
        assert scores[one.name][kept].min() >= scores[one.name][~kept].max()
        assert (_values(one.variable)[~kept] == 0).all()


def test_values_of_four_weights():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, use_bias=False, name="a")])
    model.compile("sgd", "mse")
    model.layers[0].kernel.assign([[1.0, -2.0], [3.0, 0.5]])
    x, y = np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]])
    # Outputs 7 and -1; the derivative of their mean square is 7 and -1, times 1 and 2.
    slopes = np.array([[7.0, -1.0], [14.0, -2.0]])
    weights = np.array([[1.0, -2.0], [3.0, 0.5]])
    expected = {
        "magnitude": abs(weights),
        "taylor": abs(weights * slopes),
        "movement": -weights * slopes,
    }
    for name, values in expected.items():
        criterion = get_connection_criterion(name)
        data = (x, y) if criterion.needs == "data" else None
        found = ConnectionPruner(model, criterion, data=data).scores()["a/kernel"]
        np.testing.assert_allclose(found, values, rtol=1e-5)


@pytest.mark.parametrize("name", ["taylor", "movement"])
def test_what_the_step_sums_up_equals_a_pass_over_the_same_batches(name):
    model, reference = compiled(dense_model(), "sgd"), compiled(dense_model(), "sgd")
    for one in (model, reference):
        one.optimizer.learning_rate = 0.0
    reference.set_weights(model.get_weights())
    x, y = random_data(model, 256)
    pruner = ConnectionPruner(model, get_connection_criterion(name))
    assert pruner.update(0.5).sparsity == 0
    with pytest.raises(ValueError, match="listens to training, and there was no step yet"):
        pruner.thinned(0.5)
    pruner.step.attach()
    model.fit(x, y, batch_size=128, shuffle=False, verbose=0)
    scores = pruner.scores(pruner.step.statistics()["criterion"])
    criterion = get_connection_criterion(name)
    expected = ConnectionPruner(reference, criterion, data=(x, y)).scores()
    for one in expected:
        np.testing.assert_allclose(scores[one], expected[one], atol=1e-6)
    pruner.update(0.5)
    assert (pruner.step.statistics() == {}) == (name == "taylor")


def test_what_is_pruned_stays_pruned_without_regrowth():
    pruner = _pruner("random")
    before = pruner.update(0.3)
    pruner.criterion = get_connection_criterion("magnitude")
    after = pruner.update(0.6)
    assert all((after[name] <= before[name]).all() for name in before)
    assert after.kept == sum(round(0.4 * one.size) for one in pruner.kernels)


def test_splicing_brings_back_what_has_grown_and_holds_on_to_what_is_kept():
    regrowth = Splicing(hysteresis=0.25)
    kept = np.array([True, True, False, False])
    found = regrowth.scores(np.array([1.0, 2.0, 4.0, 0.4]), kept)
    np.testing.assert_allclose(found, [1.0, 2.0, 3.0, 0.3])
    pruner = _pruner(regrowth=Splicing(0.0))
    before = pruner.update(0.5)
    for one in pruner.kernels:
        dormant = pruner.step._dormant[id(one.variable)]
        dormant.assign(np.where(before[one.name], 0, 9.0))
    after = pruner.update(0.5)
    for one in pruner.kernels:
        assert (after[one.name] == ~before[one.name]).mean() > 0.9
        assert set(_values(one.variable)[after[one.name] & ~before[one.name]]) == {9.0}


def test_rigl_changes_the_lowest_for_the_steepest():
    pruner = _pruner(regrowth=RigL(share=0.4))
    first = pruner.update(0.5)
    x, y = random_data(pruner.model, 32)
    pruner.step.attach()
    pruner.model.fit(x, y, verbose=0)
    slopes = pruner.step.statistics()["gradient"]
    weights = {one.name: np.abs(_values(one.variable)) for one in pruner.kernels}
    second = pruner.update(0.5, progress=0.0)
    for name, kept in first.items():
        gone, came = kept & ~second[name], second[name] & ~kept
        assert gone.sum() == came.sum() == round(0.4 * kept.sum())
        steepness = np.abs(slopes[name])
        assert steepness[came].min() >= steepness[~kept & ~came].max(initial=0)
        assert weights[name][gone].max() <= weights[name][kept & ~gone].min()
    pruner.model.fit(x, y, verbose=0)
    assert all(np.array_equal(pruner.update(0.5)[name], second[name]) for name in second)


def _axes(model):
    found = reading_axes(model)
    return {one.name: found.get(id(one.variable)) for one in kernels_of(model)}


def test_the_axis_that_is_summed_over():
    inputs = keras.Input((16, 16, 4))
    tensor = layers.Conv2D(8, 3, name="conv")(inputs)
    tensor = layers.DepthwiseConv2D(3, name="depthwise")(tensor)
    tensor = layers.SeparableConv2D(8, 3, name="separable")(tensor)
    tensor = layers.Conv2DTranspose(4, 3, name="transposed")(tensor)
    tensor = layers.Reshape((-1, 4))(tensor)
    tensor = layers.MultiHeadAttention(2, 4, name="attention")(tensor, tensor)
    tensor = layers.LSTM(8, name="lstm")(tensor)
    found = _axes(keras.Model(inputs, layers.Dense(4, name="dense")(tensor)))
    assert found == {
        "conv/kernel": 2,
        "depthwise/kernel": None,
        "separable/depthwise_kernel": None,
        "separable/pointwise_kernel": 2,
        "transposed/kernel": 3,
        "attention/query/kernel": 0,
        "attention/key/kernel": 0,
        "attention/value/kernel": 0,
        "attention/attention_output/kernel": 1,
        "lstm/lstm_cell/kernel": 0,
        "lstm/lstm_cell/recurrent_kernel": 0,
        "dense/kernel": 0,
    }


def test_layers_that_do_not_suit_a_pattern_are_left_alone_unless_they_were_named():
    model = compiled(dense_model(4, (8, 6), 4))
    options = {"pattern": get_pattern((2, 4), None)}
    criterion = get_connection_criterion("magnitude")
    pruner = ConnectionPruner(model, criterion, **options)
    assert [one.name for one in pruner.kernels] == ["hidden1/kernel", "hidden2/kernel"]
    with pytest.raises(ValueError, match="does not suit 'digit/kernel': the 6 channels that it"):
        ConnectionPruner(model, criterion, layers="digit", **options)
    options = {"pattern": get_pattern((4, 7), None)}
    with pytest.raises(UnsupportedModelError, match="suits no kernel of the model .*multiple of 7"):
        ConnectionPruner(model, criterion, **options)


def test_masks_to_begin_with_are_checked():
    pruner = _pruner(layers="hidden1")
    shape = pruner.kernels[0].shape
    found = pruner.checked(Masks({}))
    assert found["hidden1/kernel"].all()
    with pytest.raises(InvalidPlanError, match="'digit/kernel', which is not pruned here"):
        pruner.checked(Masks({"digit/kernel": np.ones((5, 3))}))
    with pytest.raises(InvalidPlanError, match="has the shape"):
        pruner.checked(Masks({"hidden1/kernel": np.ones((shape[0] + 1, shape[1]))}))


class _Wrong(ConnectionCriterion):
    def __init__(self, found):
        self.found = found

    def score(self, kernel, weights, measured):
        return self.found(weights)


@pytest.mark.parametrize(
    "found",
    [lambda weights: weights[:1], lambda weights: 1.0, lambda weights: weights * np.nan],
    ids=["shape", "scalar", "nan"],
)
def test_a_wrong_result_of_a_criterion_is_refused(found):
    pruner = _pruner()
    pruner.criterion = _Wrong(found)
    with pytest.raises(ValueError, match=r"one score per connection. Expected from _Wrong"):
        pruner.update(0.5)
    assert pruner.masks.sparsity == 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: get_connection_criterion("apoz"), ValueError, "Unknown criterion for connections"),
        (lambda: get_connection_criterion(3), TypeError, "keras_snare.ConnectionCriterion. Rec"),
        (lambda: get_regrowth("grow"), ValueError, "Unknown regrowth. Received: 'grow'"),
        (lambda: get_regrowth(1), TypeError, "`regrowth` is a name .* or None"),
        (lambda: RigL(share=1), ValueError, "between 0 and 1. Received: share=1"),
        (lambda: Splicing(hysteresis=-1), ValueError, "Received: hysteresis=-1"),
    ],
    ids=["criterion", "no_criterion", "regrowth", "no_regrowth", "share", "hysteresis"],
)
def test_wrong_use(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_criterion_on_data_has_to_implement_statistic():
    class Forgotten(ConnectionCriterion):
        needs = "data"

        def score(self, kernel, weights, measured):
            return measured

    pruner = _pruner()
    pruner.criterion, pruner.data = Forgotten(), random_data(pruner.model)
    with pytest.raises(NotImplementedError, match="Forgotten looks at data, so it has to"):
        pruner.scores()
    empty = tf.data.Dataset.from_tensor_slices(random_data(pruner.model)).take(0).batch(4)
    pruner.criterion, pruner.data = get_connection_criterion("taylor"), empty
    with pytest.raises(ValueError, match="hold no example"):
        pruner.scores()
