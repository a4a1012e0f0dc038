"""Units that are chosen in rounds and cut at once."""

import keras
import numpy as np
import pytest
from training import compiled, random_data, same, state_of

import keras_snare
from keras_snare import CombineCriterion
from keras_snare.criteria import OBDCriterion

layers = keras.layers


def _model():
    """Units that say something even when their inputs are zeros."""
    return compiled(
        keras.Sequential(
            [
                keras.Input((3,)),
                layers.Dense(5, "sigmoid", name="first"),
                layers.BatchNormalization(name="norm"),
                layers.Dense(5, "softplus", bias_initializer="random_normal", name="second"),
                layers.Dense(3, "softmax", name="last"),
            ]
        )
    )


CRITERIA = {
    "synflow": None,
    "l1_both": None,
    "batchnorm_scale": None,
    "activation": None,
    "taylor": None,
    "obd": OBDCriterion(probes=None),
    "combined": CombineCriterion({"synflow": 1, "activation": 2, "l1_out": 3}, normalize="none"),
    "without_data": CombineCriterion(["synflow", "l1_in"], normalize="none"),
}


@pytest.mark.parametrize("name", CRITERIA)
def test_each_round_looks_at_what_the_one_before_it_left(name):
    """As if the units were cut after every round."""
    criterion = CRITERIA[name] or name
    model, by_hand = _model(), _model()
    for weight in model.weights:
        random = np.random.default_rng(len(weight.path))
        weight.assign(random.uniform(0.1, 1.0, weight.shape) * random.choice([-1, 1], weight.shape))
    model.get_layer("norm").moving_variance.assign([0.5, 1.0, 2.0, 0.7, 1.5])
    by_hand.set_weights(model.get_weights())
    idle = name in ("synflow", "l1_both", "batchnorm_scale", "without_data")
    options = {
        "criterion": criterion,
        "normalize": "none",
        "data": None if idle else random_data(model),
        "layers": ["first"] if name == "batchnorm_scale" else None,
    }
    width = 5 if options["layers"] else 10
    report = keras_snare.prune(model, 0.6, rounds=4, **options)
    assert sum(one.before - one.after for one in report.changes) == round(0.6 * width)
    schedule, left = keras_snare.schedules.Exponential(), width
    for number in range(1, 5):
        goal = width - int(schedule.sparsity(number / 4, 0.6) * width + 1e-9)
        if goal < left:
            keras_snare.prune(by_hand, (left - goal + 0.5) / left, **options)
            left = goal
    assert same(model.get_weights(), by_hand.get_weights())


def test_wrong_rounds_change_nothing():
    model = _model()
    before = state_of(model)
    for rounds in (0, 1.5, True):
        with pytest.raises(ValueError, match="`rounds` is an integer, 1 or more. Received: rounds"):
            keras_snare.prune(model, 0.5, rounds=rounds)
    assert same(state_of(model), before)
