"""A cut model is saved, loaded, exported, converted and copied like any other."""

import os
import subprocess
import sys

import cuts
import keras
import models
import numpy as np
import pytest
import tensorflow as tf

import keras_snare
from keras_snare.graph import channel_groups

NAMES = ["incremental", "residual", "several_ends"]
LOADER = """
import sys
from pathlib import Path
import keras
import numpy as np

for path in sorted(Path(sys.argv[1]).glob("*.keras")):
    model = keras.models.load_model(path)
    data = np.load(path.with_suffix(".npz"))
    take = lambda kind: [data[name] for name in data.files if name.startswith(kind)]
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    inputs = keras.tree.pack_sequence_as(structure, take("input"))
    found = keras.tree.flatten(model.predict(inputs, verbose=0))
    for one, other in zip(found, take("output"), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    slots = [variable.numpy() for variable in model.optimizer.variables]
    for one, other in zip(slots, take("slot"), strict=True):
        np.testing.assert_array_equal(one, other)
    targets = keras.tree.pack_sequence_as(
        model.predict(inputs, verbose=0), [np.zeros_like(one) for one in found]
    )
    history = model.fit(inputs, targets, verbose=0)
    np.testing.assert_allclose(history.history["loss"], data["loss"], rtol=1e-4)
    print(path.stem, model.count_params())
assert not any(name.startswith("keras_snare") for name in sys.modules)
"""


def targets_for(model):
    return keras.tree.map_structure(np.zeros_like, model(models.inputs_for(model)))


@pytest.fixture(scope="module")
def cut_models():
    """Models that were trained, cut to half their units and trained on."""
    found = {}
    for name in NAMES:
        model = models.build(name)
        # XLA takes seconds to compile even these, and leaves nothing in a file.
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
        model.fit(models.inputs_for(model), targets_for(model), verbose=0)
        keras_snare.shrink(model, cuts.halves(channel_groups(model)))
        model.fit(models.inputs_for(model), targets_for(model), verbose=0)
        found[name] = model
    return found


@pytest.fixture(params=NAMES)
def model(request, cut_models):
    return cut_models[request.param]


def assert_same_outputs(found, model, atol=1e-5):
    expected = models.arrays(model(models.inputs_for(model)))
    for one, other in zip(models.arrays(found), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


def test_predict_evaluate_and_call_agree(model):
    inputs = models.inputs_for(model)
    assert_same_outputs(model.predict(inputs, verbose=0), model)
    loss = model.evaluate(inputs, targets_for(model), verbose=0, return_dict=True)["loss"]
    outputs = models.arrays(model(inputs))
    assert loss == pytest.approx(sum(np.mean(output**2) for output in outputs), rel=1e-4)


def test_saved_model_is_loaded(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_same_outputs(again(models.inputs_for(model)), model)
    assert again.count_params() == model.count_params()
    assert [one.get_config() for one in again.layers] == [one.get_config() for one in model.layers]
    for one, other in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", models.SMALL)
def test_every_cut_layer_is_saved_loaded_and_cut_again(name, tmp_path):
    model = models.build(name)
    keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        # A nested model notes its shapes when it is called, not when its configuration builds it.
        assert again.to_json() == model.to_json()
    plan = cuts.halves(channel_groups(model))
    for one in (model, again):
        keras_snare.shrink(one, plan)
    if name != "channels_first_3d":
        assert_same_outputs(again(models.inputs_for(model)), model)


def test_weights_file_is_loaded_by_the_narrow_model(model, tmp_path):
    model.save_weights(tmp_path / "model.weights.h5")
    narrow = type(model).from_config(model.get_config())
    narrow.load_weights(tmp_path / "model.weights.h5")
    assert_same_outputs(narrow(models.inputs_for(model)), model)


def test_clone_has_the_new_widths(model):
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_same_outputs(clone(models.inputs_for(model)), model)


def test_config_builds_the_narrow_model(model):
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert_same_outputs(again(models.inputs_for(model)), model)


def test_summary_shows_the_new_widths(model):
    lines = []
    model.summary(print_fn=lines.append, line_length=120)
    text = "\n".join(lines)
    trained = sum(weight.numpy().size for weight in model.trainable_weights)
    assert f"Trainable params: {trained:,}" in text
    for layer in model.layers:
        for width in {getattr(layer, "units", None), getattr(layer, "filters", None)} - {None}:
            row = next(line for line in lines[0].splitlines() if f" {layer.name} " in line)
            assert f"{width})" in row


@pytest.mark.parametrize("name", ["incremental", "residual", "several_ends"])
def test_exported_model_serves(name, cut_models, tmp_path):
    model = cut_models[name]
    model.export(tmp_path / "exported", verbose=False)
    inputs = models.inputs_for(model)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    assert_same_outputs(served.serve(inputs), model)


@pytest.mark.parametrize("name", ["incremental", "residual"])
def test_converter_takes_the_cut_model(name, cut_models, tmp_path):
    model = cut_models[name]
    model.export(tmp_path / "exported", verbose=False)
    converted = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "exported")).convert()
    interpreter = tf.lite.Interpreter(model_content=converted)
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    inputs = models.inputs_for(model)
    interpreter.resize_tensor_input(entry["index"], inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], inputs)
    interpreter.invoke()
    assert_same_outputs([interpreter.get_tensor(end["index"])], model)


def test_converter_takes_the_model_itself(cut_models):
    converted = tf.lite.TFLiteConverter.from_keras_model(cut_models["incremental"]).convert()
    interpreter = tf.lite.Interpreter(model_content=converted)
    assert tuple(interpreter.get_output_details()[0]["shape"]) == (1, 3)


@pytest.mark.slow
def test_fresh_process_without_the_package_loads_and_trains(cut_models, tmp_path):
    for name, model in cut_models.items():
        model.save(tmp_path / f"{name}.keras")
        again = keras.models.load_model(tmp_path / f"{name}.keras")
        inputs, targets = models.inputs_for(model), targets_for(model)
        arrays = {
            "input": keras.tree.flatten(inputs),
            "output": keras.tree.flatten(model.predict(inputs, verbose=0)),
            "slot": [variable.numpy() for variable in again.optimizer.variables],
        }
        named = {
            f"{kind}{at:03}": one for kind, all_ in arrays.items() for at, one in enumerate(all_)
        }
        losses = again.fit(inputs, targets, verbose=0).history["loss"]
        np.savez(tmp_path / f"{name}.npz", loss=losses, **named)
    (tmp_path / "loader.py").write_text(LOADER)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "loader.py", str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    expected = [f"{name} {cut_models[name].count_params()}" for name in sorted(NAMES)]
    assert run.stdout.splitlines() == expected
