"""A plan or a model that does not fit is refused before anything changes."""

import functools

import keras
import models
import numpy as np
import pytest
from state import assert_same_state, state_of

import keras_snare
from keras_snare import InvalidPlanError, PrunePlan, UnsupportedModelError

layers = keras.layers


REFUSED = {
    "unknown layer": (
        "residual",
        {"stem": [0], "branch": [0], "stem_2": [0]},
        r"names layer 'stem_2', which has no units to cut\. .*: stem, branch, inner\.",
    ),
    "layer without units": ("residual", {"join": [0]}, "names layer 'join', which has no units"),
    "index too large": (
        "residual",
        {"inner": [0, 4]},
        r"Layer 'inner' has units 0 to 3\. Received the indices 0 to 4\.",
    ),
    "negative index": ("residual", {"inner": [-1, 2]}, "Received the indices -1 to 2"),
    "repeated index": (
        "residual",
        {"inner": [1, 1]},
        r"Each unit index may stand once.*'inner'.*Remove the repetitions",
    ),
    "nothing kept": (
        "residual",
        {"inner": []},
        r"keeps none of the 4 units of layer 'inner'\. Keep at least one",
    ),
    "model's output": (
        "residual",
        {"inner": [0], "last": [0, 1]},
        r"Unit 2 of layer 'last' cannot be cut: its width is the model's output\. Leave it out",
    ),
    "behind a wall": (
        "behind_a_wall",
        {"read": [0]},
        r"Unit 1 of layer 'read' cannot be cut: wall reads it, an operation without a rule",
    ),
    "contradiction": (
        "residual",
        {"stem": [0, 1], "branch": [0, 2]},
        "keeps units of layer .* coupled to units which it removes.*channel_groups",
    ),
    "nothing kept of a coupled layer": (
        "partly_coupled",
        {"whole": [3, 4, 5, 6]},
        "keeps none of the units of layer 'left', which are coupled to .*Keep at least one",
    ),
    "nothing kept of another coupled layer": (
        "partly_coupled",
        {"left": [0], "whole": [0]},
        "keeps none of the units of layer 'right', which are coupled to",
    ),
    "list": ("residual", [0, 1], r"A plan is a mapping .*Received: \[0, 1\]"),
    "None": ("residual", None, "A plan is a mapping .*Received: None"),
    "number of units": ("residual", {"inner": 2}, r"Received for layer 'inner': 2\. Give a list"),
    "mapping": ("residual", {"inner": {0: 1}}, "Received for layer 'inner': {0: 1}"),
    "word": ("residual", {"inner": "01"}, "Received for layer 'inner': '01'"),
    "fraction": ("residual", {"inner": [0.5]}, "Unit indices are integers.*'inner'.*float"),
    "mask": ("residual", {"inner": [True, False]}, "Unit indices are integers.*'inner'.*True"),
    "array mask": ("residual", {"inner": np.ones(4, bool)}, "Unit indices are integers.*'inner'"),
}


def compiled(name, optimizer="adam"):
    model = models.build(name)
    model.compile(optimizer, "mse", run_eagerly=True)
    model.train_on_batch(models.inputs_for(model), np.zeros((4, 3)))
    return model


# Since nothing changes, one model serves all.
kept_model = functools.cache(compiled)


@pytest.mark.parametrize(("name", "plan", "message"), REFUSED.values(), ids=REFUSED)
def test_plan_is_refused_and_nothing_changes(name, plan, message):
    model = kept_model(name)
    before = state_of(model)
    with pytest.raises(InvalidPlanError, match=message):
        keras_snare.shrink(model, plan)
    assert_same_state(state_of(model), before)


@pytest.mark.parametrize("fold", [None, 1, "no", np.ones(2)], ids=repr)
def test_fold_constants_is_a_truth_value(fold):
    model = models.build("residual")
    with pytest.raises(ValueError, match="`fold_constants` is True or False. Received: "):
        keras_snare.shrink(model, {"inner": [0]}, fold_constants=fold)
    assert model.get_layer("inner").filters == 4


def test_refused_plans_are_value_errors_and_snare_errors():
    assert issubclass(InvalidPlanError, ValueError)
    assert issubclass(InvalidPlanError, keras_snare.SnareError)


@pytest.mark.parametrize(
    "keep",
    [(3, 0), np.array([3, 0]), range(0, 4, 3), {0, 3}, (index for index in (0, 3))],
    ids=["tuple", "array", "range", "set", "generator"],
)
def test_indices_come_in_any_form(keep):
    assert PrunePlan({"inner": keep}).keep == {"inner": (0, 3)}


class Whitened(keras.optimizers.SGD):
    """Holds a matrix that belongs to no weight."""

    def build(self, variables):
        super().build(variables)
        self.whitening = self.add_variable((2, 3), name="whitening")


class Flat(keras.optimizers.SGD):
    """Holds slots of another form than their weights."""

    def build(self, variables):
        super().build(variables)
        self.flat = [
            self.add_variable((int(np.prod(variable.shape)),), name="flat")
            for variable in variables
        ]


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (Whitened, r"Optimizer Whitened holds a variable that belongs to no weight .*whitening"),
        (Flat, r"Slot flat of optimizer Flat has the shape \(90,\), its weight .*stem"),
    ],
    ids=["of no weight", "of another form"],
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "wrapped"])
def test_unknown_optimizer_state_is_refused_and_nothing_changes(optimizer, message, wrapped):
    made = optimizer(0.1)
    model = compiled("residual", keras.optimizers.LossScaleOptimizer(made) if wrapped else made)
    before = state_of(model)
    message = message.replace("Optimizer Whitened", "Optimizer .*") if wrapped else message
    with pytest.raises(UnsupportedModelError, match=message):
        keras_snare.shrink(model, {"inner": [0]})
    assert_same_state(state_of(model), before)


def test_unknown_scalars_of_an_optimizer_do_no_harm():
    class Counting(keras.optimizers.SGD):
        def build(self, variables):
            super().build(variables)
            self.counter = self.add_variable((), name="counter")

    model = compiled("residual", Counting(0.1))
    keras_snare.shrink(model, {"inner": [0]})
    assert model.get_layer("inner").filters == 1


def test_model_that_is_not_built_is_refused():
    model = keras.Sequential([layers.Dense(4, name="hidden"), layers.Dense(2)])
    with pytest.raises(UnsupportedModelError, match="has no graph yet"):
        keras_snare.shrink(model, {"hidden": [0]})
    assert model.layers[0].units == 4
