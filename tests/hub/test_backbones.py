"""Whole heads and feed-forward units of KerasHub's transformers, small, with random weights."""

import os
import subprocess
import sys

import cuts
import keras
import models
import numpy as np
import pytest
from hub_models import BACKBONES, assert_close, build, inputs_for, zeros_like
from state import assert_same_state, state_of

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.surgery import removed_channels

# TensorFlow notes that `predict` of another model is traced.
pytestmark = pytest.mark.filterwarnings("ignore:.*triggered tf.function retracing")

each = pytest.mark.parametrize("name", BACKBONES)

GROUPS = {
    "bert": {
        "transformer_layer_0/self_attention_layer:heads": 4,
        "transformer_layer_1/feedforward_intermediate_dense": 12,
    },
    "gemma": {"decoder_block_0/attention:heads": 2, "decoder_block_1/ffw_gating": 12},
    "gemma_2": {"decoder_block_0/attention:heads": 2, "decoder_block_1/ffw_gating_2": 12},
    "gemma_single": {"decoder_block_0/attention:heads": 4, "decoder_block_1/ffw_gating": 12},
    "gpt_2": {
        "transformer_layer_0/self_attention:heads": 4,
        "transformer_layer_1/feedforward_intermediate_dense": 12,
    },
    "vit": {
        "vit_encoder/transformer_block_1/mha:heads": 4,
        "vit_encoder/transformer_block_2/mlp/dense_1": 12,
    },
    "whisper": {
        "transformer_encoder_layer_0/self_attention_layer:heads": 4,
        "transformer_decoder_layer_0/self_attention:heads": 4,
        "transformer_decoder_layer_1/cross_attention:heads": 4,
        "transformer_encoder_layer_1/feedforward_intermediate_dense": 12,
        "transformer_decoder_layer_1/feedforward_intermediate_dense": 12,
        "encoder_token_embedding_conv_layer_1": 16,
    },
}


@each
def test_heads_and_units_are_offered(name):
    groups = channel_groups(build(name))
    for layer, width in GROUPS[name].items():
        assert (groups[layer].width, groups[layer].prunable) == (width, True)
    held = {one.reason for one in groups if not one.prunable}
    assert held == {"its width is the model's output"}


@each
@pytest.mark.parametrize("plan", ["halves", "heads and units"])
def test_cut_backbone_computes_what_the_silenced_one_does(name, plan):
    model, reference = build(name), build(name)
    groups = channel_groups(reference)
    if plan == "halves":
        plan = cuts.halves(groups)
    else:
        plan = keras_snare.PrunePlan({layer: [1] for layer in GROUPS[name]})
    cuts.silence_readers(groups, removed_channels(groups, plan))
    keras_snare.shrink(model, plan)
    assert model.count_params() < reference.count_params()
    inputs = inputs_for(model)
    assert_close(model(inputs), reference(inputs))
    longer = inputs_for(model, 3, 8)
    assert_close(model(longer), reference(longer))


@each
def test_training_goes_on_and_is_undone(name):
    model = build(name)
    inputs = inputs_for(model)
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    targets = zeros_like(model, inputs)
    model.fit(inputs, targets, verbose=0)
    before, expected = state_of(model), models.arrays(model(inputs))
    undo = keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    model.fit(inputs, targets, verbose=0)
    assert state_of(model)["shapes"] != before["shapes"]
    undo.restore()
    assert_same_state(state_of(model), before)
    for one, other in zip(models.arrays(model(inputs)), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    model.fit(inputs, targets, verbose=0)


LOADER = """
import sys
import keras
import keras_hub
import keras_snare
import numpy as np

folder = sys.argv[1]
for name in sys.argv[2:]:
    model = keras.models.load_model(f"{folder}/{name}.keras")
    data = dict(np.load(f"{folder}/{name}.npz"))
    expected = [data.pop(key) for key in sorted(data) if key.startswith("output ")]
    found = keras.tree.flatten(model(data if isinstance(model.input, dict) else data["x"]))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    print(type(model).__name__, model.count_params())
"""


def test_saved_backbones_are_loaded_by_a_fresh_process(tmp_path):
    expected = []
    for name in BACKBONES:
        model = build(name)
        keras_snare.shrink(model, cuts.halves(channel_groups(model)))
        keras_snare.save_model(model, tmp_path / f"{name}.keras")
        inputs = inputs_for(model)
        outputs = {f"output {at}": one for at, one in enumerate(models.arrays(model(inputs)))}
        named = inputs if isinstance(inputs, dict) else {"x": inputs}
        np.savez(tmp_path / f"{name}.npz", **named, **outputs)
        expected.append(f"{type(model).__name__} {model.count_params()}")
    (tmp_path / "loader.py").write_text(LOADER)
    run = subprocess.run(
        [sys.executable, tmp_path / "loader.py", tmp_path, *BACKBONES],
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(keras_snare.__file__))},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines() == expected


@each
def test_prune_by_data(name):
    model = build(name)
    inputs = inputs_for(model)
    targets = zeros_like(model, inputs)
    model.compile("sgd", "mse", run_eagerly=True)
    report = keras_snare.prune(model, 0.3, criterion="taylor", data=(inputs, targets))
    assert report.params_after == model.count_params() < report.params_before
    assert report.flops_after < report.flops_before
    model(inputs)


def test_attributes_follow():
    model = build("gemma")
    keras_snare.shrink(model, {"decoder_block_0/attention:heads": [1]})
    attention = model.get_layer("decoder_block_0").attention
    assert (attention.num_query_heads, attention.num_key_value_heads) == (2, 1)
    model = build("gpt_2")
    keras_snare.shrink(model, {"transformer_layer_0/self_attention:heads": [0, 1, 3]})
    attention = model.get_layer("transformer_layer_0")._self_attention_layer
    assert (attention.num_heads, attention.key_dim) == (3, 4)
    assert attention.query_dense.kernel.shape == (16, 3, 4)


def test_package_is_not_imported():
    script = "import sys, keras_snare; assert 'keras_hub' not in sys.modules"
    root = os.path.dirname(os.path.dirname(keras_snare.__file__))
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
