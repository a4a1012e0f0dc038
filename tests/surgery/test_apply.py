"""What a cut tells of itself, and how it hangs together with plans."""

import cuts
import keras
import models
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.surgery import plan_for, remove, removed_channels, width_changes

BRANCHED = ["concatenated", "partly_coupled", "recurrent_use", "residual", "same_tensor_twice"]


@pytest.mark.parametrize("name", BRANCHED)
@given(data=st.data())
@settings(max_examples=10)
def test_plan_of_a_removal_removes_the_same(name, data):
    groups = channel_groups(models.build(name))
    removed = removed_channels(groups, data.draw(cuts.plans(groups)))
    again = removed_channels(groups, plan_for(groups, removed))
    assert again.tolist() == removed.tolist()


def test_plan_names_every_layer_that_loses_units():
    groups = channel_groups(models.build("residual"))
    removed = removed_channels(groups, keras_snare.PrunePlan({"branch": [1, 3], "inner": [0]}))
    expected = {"stem": (1, 3), "branch": (1, 3), "inner": (0,)}
    assert plan_for(groups, removed).keep == expected


@pytest.mark.parametrize("name", BRANCHED)
@given(data=st.data())
@settings(max_examples=10)
def test_two_cuts_are_the_one_that_both_plans_make(name, data):
    twice, once = models.build(name), models.build(name)
    done = keras_snare.PrunePlan({})
    for _ in range(2):
        groups = channel_groups(twice)
        if not groups.prunable():
            break
        removed = removed_channels(groups, data.draw(cuts.plans(groups)))
        done = done.then(plan_for(groups, removed))
        remove(twice, groups, removed)
    keras_snare.shrink(once, done)
    for first, second in zip(twice.get_weights(), once.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_plan_names_the_second_part_of_a_group():
    groups = channel_groups(models.build("partly_coupled"))
    removed = removed_channels(groups, keras_snare.PrunePlan({"right": [0, 1]}))
    keep = plan_for(groups, removed).keep
    assert sorted(removed_channels(groups, keras_snare.PrunePlan(keep))) == sorted(removed)


def test_naming_one_of_the_coupled_layers_is_enough():
    one, other = models.build("residual"), models.build("residual")
    keras_snare.shrink(one, {"branch": [1, 3]})
    keras_snare.shrink(other, {"stem": [1, 3], "branch": [1, 3]})
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_unit_of_one_part_takes_the_coupled_unit_along():
    model = models.build("partly_coupled")
    keras_snare.shrink(model, {"right": [1, 2]})
    widths = {layer: model.get_layer(layer).units for layer in ("left", "right", "whole")}
    assert widths == {"left": 3, "right": 2, "whole": 5}


def test_width_changes_name_the_groups_that_became_narrower():
    groups = channel_groups(models.build("residual"))
    removed = removed_channels(groups, keras_snare.PrunePlan({"branch": [1, 3]}))
    (change,) = width_changes(groups, removed)
    assert (change.layer, change.before, change.after) == ("stem", 5, 2)


def test_no_channels_removed_is_no_change():
    model = models.build("dense")
    groups = channel_groups(model)
    nothing = np.array([], dtype=int)
    assert width_changes(groups, nothing) == ()
    assert plan_for(groups, nothing).keep == {}
    remove(model, groups, nothing).restore()
    assert model.get_layer("first").units == 5


@pytest.mark.parametrize(
    ("eager", "built"),
    [(True, True), (False, True), (False, False)],
    ids=["eager", "compiled", "not traced yet"],
)
def test_compiled_steps_are_made_anew(eager, built):
    model = models.build("dense")
    model.compile("sgd", "mse", run_eagerly=eager, jit_compile=False)
    x, y = models.inputs_for(model), np.zeros((4, 3))
    if built:
        model.train_on_batch(x, y)
        model.predict(x, verbose=0)
    keras_snare.shrink(model, {"first": [0, 1]})
    assert (model.train_function is not None) == built
    assert model.predict_function is None
    model.fit(x, y, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), atol=1e-6)


def test_cut_in_the_middle_of_fit():
    class Cut(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            keras_snare.shrink(self.model, {"first": range(4 - epoch)})

    model = models.build("dense")
    model.compile("adam", "mse")
    x, y = models.inputs_for(model, 8), np.zeros((8, 3))
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[Cut()])
    assert model.get_layer("first").units == 2
    assert np.isfinite(history.history["loss"]).all()
