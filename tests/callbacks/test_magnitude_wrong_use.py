"""What `MagnitudePruneCallback` refuses: arguments, and other ways to use it wrongly."""

import keras
import numpy as np
import pytest
from training import compiled, dense_model, random_data

import keras_snare
from keras_snare import MagnitudePruneCallback, Masks

layers = keras.layers


def _fit(model, *callbacks, epochs=5, **options):
    x, y = random_data(model, 32)
    options = {"batch_size": 8, "epochs": epochs, "verbose": 0, **options}
    return model.fit(x, y, callbacks=list(callbacks), **options).history


def _model(units=(8, 8), **options):
    return compiled(dense_model(6, units, 4), **options)


WRONG = {
    "sparsity": ({"sparsity": 1.0}, ValueError, "between 0 and 1. Received: sparsity=1.0"),
    "schedule": ({"schedule": "cubic"}, ValueError, "Unknown schedule"),
    "initial": (
        {"sparsity": 0.5, "schedule": keras_snare.schedules.Linear(0.6)},
        ValueError,
        "initial=0.6 above sparsity=0.5",
    ),
    "begin": ({"begin_epoch": -1}, ValueError, "`begin_epoch` is an integer, 0 or more"),
    "end": ({"begin_epoch": 4, "end_epoch": 3}, ValueError, "not before begin_epoch=4"),
    "once": ({"schedule": "one_shot", "end_epoch": 3}, ValueError, "left out where all is pruned"),
    "frequency": ({"frequency": 0}, ValueError, "`frequency` is an integer, 1 or more"),
    "per": ({"per": "batch"}, ValueError, "`per` is 'epoch' or 'step'. Received: per='batch'"),
    "criterion": ({"criterion": "l1_in"}, ValueError, "Unknown criterion for connections"),
    "scope": ({"scope": "local"}, ValueError, "`scope` is one of layer, global, erk"),
    "pattern": ({"pattern": (4, 2)}, ValueError, "n below m"),
    "pattern_sparsity": (
        {"pattern": (2, 4), "sparsity": 0.8},
        ValueError,
        r"prunes a share of 0.5. Received: sparsity=0.8. Leave `sparsity` out",
    ),
    "regrowth": ({"regrowth": "grow"}, ValueError, "Unknown regrowth"),
    "splicing": (
        {"regrowth": "splicing", "criterion": "taylor"},
        ValueError,
        "the criterion is one on weights",
    ),
    "rigl": ({"regrowth": "rigl", "pattern": (2, 4)}, ValueError, "which no pattern survives"),
    "layers": ({"layers": 3}, TypeError, "`layers` is a layer name"),
    "data": ({"scoring_data": 3, "criterion": "taylor"}, ValueError, "`scoring_data` is"),
    "idle_data": (
        {"scoring_data": (np.ones(1), np.ones(1))},
        ValueError,
        "does not look at data",
    ),
    "masks": ({"initial_masks": 3}, TypeError, "keras_snare.Masks, or a file"),
    "file": ({"initial_masks": "nowhere.npz"}, keras_snare.SnapshotError, "nowhere.npz is missing"),
    "structured": ({"structured": 1}, ValueError, "`structured` is True or False"),
    "dead": ({"remove_dead": 1}, ValueError, "`remove_dead` is True or False"),
    "units": (
        {"structured": True, "pattern": (2, 4)},
        ValueError,
        "`pattern` is for connections. Received it with structured=True",
    ),
    "units_dead": ({"structured": True, "remove_dead": True}, ValueError, "`remove_dead` is for"),
    "units_scope": ({"structured": True, "scope": "erk"}, ValueError, "'layer' or 'global'"),
    "units_criterion": (
        {"structured": True, "criterion": "activation"},
        ValueError,
        "looks at data",
    ),
}


@pytest.mark.parametrize(("options", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        MagnitudePruneCallback(**options)


def test_wrong_use_in_fit():
    with pytest.raises(ValueError, match="listens to training.*begin_epoch=1, or scoring_data"):
        _fit(_model(), MagnitudePruneCallback(0.5, criterion="taylor", schedule="constant"))
    with pytest.raises(ValueError, match="matches no layer that has connections"):
        _fit(_model(), MagnitudePruneCallback(0.5, layers="nothing"))
    masks = MagnitudePruneCallback(0.5, initial_masks=Masks({"a/kernel": np.ones((2, 2))}))
    with pytest.raises(keras_snare.InvalidPlanError, match="'a/kernel', which model"):
        _fit(_model(), masks)
    unbuilt = compiled(keras.Sequential([layers.Dense(4, "softmax")]))
    prune = MagnitudePruneCallback(0.5)
    with pytest.raises(keras_snare.UnsupportedModelError, match="is not built or has no optimizer"):
        unbuilt.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[prune])
