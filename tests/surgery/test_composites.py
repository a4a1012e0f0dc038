"""Layers made of layers are cut in place, undone, trained on, and saved with `save_model`."""

import functools
import json
import os
import subprocess
import sys
import zipfile

import composite_models
import cuts
import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from state import assert_same_state, state_of

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.surgery import cut_to_shapes, removed_channels

layers = keras.layers
# Of these, "causal" and "stack_causal" are the same and more.
SIMPLER = ("block", "stack")
each = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in SIMPLER))
        for name in composite_models.BUILDS
    ],
)
# Built from what the constructor was told, by a process that knows the classes.
CUSTOM = {
    kind.__name__: kind
    for kind in (
        composite_models.Around,
        composite_models.Block,
        composite_models.CausalBlock,
        composite_models.Exchange,
        composite_models.Scaled,
        composite_models.Stack,
    )
}


@functools.cache
def halved(name):
    """A model with every second unit cut, trained before and after it; not to be changed."""
    model = composite_models.build(name)
    inputs = composite_models.inputs_for(model)
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    targets = np.zeros(model(inputs).shape)
    model.fit(inputs, targets, verbose=0)
    keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    model.fit(inputs, targets, verbose=0)
    return model


def check_equivalence(name, model, reference, groups, plan):
    removed = removed_channels(groups, plan)
    cuts.silence_readers(groups, removed)
    inputs = composite_models.inputs_for(model)
    np.testing.assert_allclose(model(inputs), reference(inputs), atol=1e-5, rtol=1e-5)
    kept = cuts.kept_positions(groups, removed)
    for weight, other in zip(model.weights, reference.weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), cuts.kept_weight(other, kept), atol=1e-5)


@each
def test_cut_model_computes_what_the_silenced_one_does(name):
    cuts.check_plans(composite_models.build, name, check_equivalence, examples=3)


@each
def test_restore_returns_to_the_same_state(name):
    model = composite_models.build(name)
    model.compile("adam", "mse", run_eagerly=True)
    inputs = composite_models.inputs_for(model)
    model.fit(inputs, np.zeros(model(inputs).shape), verbose=0)
    before, parts, expected = state_of(model), parts_of(model), model(inputs).numpy()
    undo = keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    assert state_of(model)["shapes"] != before["shapes"]
    assert parts_of(model) != parts
    model.fit(inputs, np.zeros(model(inputs).shape), verbose=0)
    undo.restore()
    assert_same_state(state_of(model), before)
    assert parts_of(model) == parts
    np.testing.assert_array_equal(model(inputs), expected)
    model.fit(inputs, np.zeros(model(inputs).shape), verbose=0)


def parts_of(model):
    """What the parts of layers say of their widths."""
    parts = [one for one in model._flatten_layers() if not isinstance(one, layers.InputLayer)]
    return [(one.name, repr(one.get_config()), one.get_build_config()) for one in parts]


def test_parts_say_how_wide_they_are():
    model = composite_models.build("causal")
    keras_snare.shrink(model, {"block/attention:heads": [1], "block/feed/up": [0, 3]})
    block = model.get_layer("block")
    assert (block.attention.num_heads, block.attention.key_dim) == (1, 4)
    up, down = block.feed.layers
    assert (up.units, down.get_build_config()) == (2, {"input_shape": (None, None, 2)})
    assert block.attention.get_build_config()["shapes_dict"]["query_shape"] == (None, None, 6)
    assert model.output_shape == (None, None, 3)
    assert keras_snare.cost(model).params == model.count_params()


@pytest.mark.parametrize("criterion", ["taylor", "activation", "l1_in"])
def test_prune_by_every_kind_of_criterion(criterion):
    model = composite_models.build("stack_causal")
    inputs = composite_models.inputs_for(model)
    model.compile("sgd", "mse", jit_compile=False)
    report = keras_snare.prune(
        model, 0.4, criterion=criterion, data=(inputs, np.zeros((3, 4, 3))), layers="up"
    )
    assert report.params_after == model.count_params() < report.params_before
    model(inputs)


def test_callback_searches_inside_of_blocks():
    model = composite_models.build("causal")
    inputs = composite_models.inputs_for(model)
    model.compile("adam", "mse", metrics=["mae"], jit_compile=False)
    snare = keras_snare.SnareCallback(10.0, monitor="val_mae", retrain_epochs=1, max_trials=3)
    data = (inputs, np.zeros((3, 4, 3)))
    model.fit(*data, validation_data=data, epochs=8, callbacks=[snare], verbose=0)
    assert any(row.accepted for row in snare.report.rows)
    assert model.count_params() < snare.report.rows[0].params * 2


@each
def test_saved_model_is_loaded(name, tmp_path):
    model = halved(name)
    path = tmp_path / "model.keras"
    keras_snare.save_model(model, path)
    assert [one.name for one in tmp_path.iterdir()] == ["model.keras"]
    with keras.saving.custom_object_scope(CUSTOM):
        again = keras.models.load_model(path)
    assert type(again) is type(model)
    inputs = composite_models.inputs_for(model)
    np.testing.assert_array_equal(again(inputs), model(inputs))
    slots = zip(again.optimizer.variables, model.optimizer.variables, strict=True)
    for one, other in slots:
        np.testing.assert_array_equal(one, other)
    again.fit(inputs, np.zeros(model(inputs).shape), verbose=0)


def test_loaded_model_is_cut_and_saved_again(tmp_path):
    path = tmp_path / "model.keras"
    keras_snare.save_model(halved("causal"), path)
    with keras.saving.custom_object_scope(CUSTOM):
        model = keras.models.load_model(path)
        keras_snare.shrink(model, {"block/feed/up": [1]})
        keras_snare.save_model(model, path)
        again = keras.models.load_model(path)
    inputs = composite_models.inputs_for(model)
    np.testing.assert_array_equal(again(inputs), model(inputs))


LOADER = """
import sys
import composite_models
import keras
import keras_snare
import numpy as np
from test_composites import CUSTOM

model = keras.models.load_model(sys.argv[1], custom_objects=CUSTOM)
np.save(sys.argv[2], model(composite_models.inputs_for(model)))
"""


@pytest.mark.slow
def test_fresh_process_loads_it(tmp_path):
    model = halved("causal")
    keras_snare.save_model(model, tmp_path / "model.keras")
    tests = os.path.dirname(composite_models.__file__)
    package = os.path.dirname(os.path.dirname(keras_snare.__file__))
    path = os.pathsep.join([tests, os.path.join(tests, "surgery"), package])
    run = subprocess.run(
        [sys.executable, "-c", LOADER, tmp_path / "model.keras", tmp_path / "output.npy"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    expected = model(composite_models.inputs_for(model))
    np.testing.assert_allclose(np.load(tmp_path / "output.npy"), expected, atol=1e-6)


def config_of(path):
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("config.json"))


def test_model_that_states_its_widths_is_saved_as_ever(tmp_path):
    model = models.build("residual")
    keras_snare.shrink(model, {"inner": [0, 2]})
    keras_snare.save_model(model, tmp_path / "one.keras")
    model.save(tmp_path / "other.keras")
    assert config_of(tmp_path / "one.keras") == config_of(tmp_path / "other.keras")


def test_file_of_blocks_says_to_what_they_are_cut(tmp_path):
    keras_snare.save_model(halved("block"), str(tmp_path / "model.keras"))
    config = config_of(tmp_path / "model.keras")
    assert (config["class_name"], config["compile_config"]["loss"]) == ("Functional", "mse")
    _, block, last = config["config"]["layers"]
    assert last["class_name"] == "Dense"
    assert (block["registered_name"], block["name"]) == ("keras_snare>CutObject", "block")
    assert block["config"]["object"]["class_name"] == "Block"
    assert [6, 3] in block["config"]["shapes"]  # every second of five units


def test_file_of_a_subclassed_model_says_to_what_it_is_cut(tmp_path):
    keras_snare.save_model(halved("subclassed"), tmp_path / "model.keras")
    config = config_of(tmp_path / "model.keras")
    assert config["registered_name"] == "keras_snare>CutObject"
    assert config["config"]["object"]["class_name"] == "Around"
    assert config["compile_config"]["loss"] == "mse"
    assert "compile_config" not in config["config"]["object"]


def test_model_that_was_not_compiled_is_saved(tmp_path):
    model = composite_models.build("block")
    keras_snare.shrink(model, {"block/feed/up": [0]})
    keras_snare.save_model(model, tmp_path / "model.keras")
    with keras.saving.custom_object_scope(CUSTOM):
        assert not keras.models.load_model(tmp_path / "model.keras").compiled


class Forgetful(composite_models.Block):
    """Does not tell how wide it is."""

    def get_config(self):
        return {**super().get_config(), "units": 1}


def test_file_that_could_not_be_loaded_is_refused(tmp_path):
    model = composite_models.functional(Forgetful(name="block"))
    keras_snare.shrink(model, {"block/feed/up": [0, 2, 3]})
    message = r"(?s)cannot be built from its configuration and then cut .*shrink\(model, plan\)"
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.save_model(model, tmp_path / "model.keras")
    assert list(tmp_path.iterdir()) == []
    keras_snare.save_model(model, tmp_path / "model.keras", check=False)
    again = composite_models.functional(Forgetful(name="block"))
    keras_snare.shrink(again, {"block/feed/up": range(3)})
    again.load_weights(tmp_path / "model.keras")
    inputs = composite_models.inputs_for(model)
    np.testing.assert_array_equal(again(inputs), model(inputs))


@pytest.mark.parametrize("wrong", ["wider", "other rank", "fewer"])
def test_shapes_that_no_cut_gives_are_refused(wrong):
    model = composite_models.build("block")
    before = model.get_weights()
    shapes = [tuple(weight.shape) for weight in model.weights]
    changed = {
        "wider": [(size + 1, *rest) for size, *rest in shapes],
        "other rank": [(*shape, 1) for shape in shapes],
        "fewer": shapes[1:],
    }
    with pytest.raises(
        keras_snare.UnsupportedModelError, match="cannot be cut to the widths that are stated"
    ):
        cut_to_shapes(model, changed[wrong])
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [*models.BRANCHED, *models.SEQUENCES])
def test_shapes_of_any_cut_are_found_again(name):
    model, again = models.build(name), models.build(name)
    keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    shapes = [tuple(weight.shape) for weight in model.weights]
    cut_to_shapes(again, shapes)
    assert [tuple(weight.shape) for weight in again.weights] == shapes
    again(models.inputs_for(again))


@pytest.mark.parametrize("name", ["causal"])
def test_exported_model_serves(name, tmp_path):
    model = halved(name)
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    inputs = composite_models.inputs_for(model)
    np.testing.assert_allclose(served.serve(inputs), model(inputs), atol=1e-5)
