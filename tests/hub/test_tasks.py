"""KerasHub's tasks around a backbone; what of its layers stays whole, and the names stood on."""

import cuts
import keras
import models
import numpy as np
import pytest
from hub_models import GEMMA, assert_close, build, hub, inputs_for

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.graph.rules import OPERATIONS, rule_for
from keras_snare.surgery import removed_channels

# Tasks compile themselves when they are built.
pytestmark = pytest.mark.filterwarnings("ignore:`compile\\(\\)` was not called as part of model")

TASKS = {
    "classifier": lambda: hub.models.BertTextClassifier(build("bert"), 2, preprocessor=None),
    "image": lambda: hub.models.ViTImageClassifier(build("vit"), 2, preprocessor=None),
    "language": lambda: hub.models.GPT2CausalLM(build("gpt_2"), preprocessor=None),
    "gemma": lambda: hub.models.GemmaCausalLM(build("gemma"), preprocessor=None),
}
# Those in which the width of the model can be cut; its normalisations count it.
NARROWER = ("classifier", "language", "gemma")


def task(name):
    return models.randomize(TASKS[name]())


UNITS = ("feedforward_intermediate_dense", "ffw_gating", "ffw_gating_2", "dense_1")


def _is_inner(layer):
    last = layer.split("/")[-1]
    return last.split(":")[-1] in ("heads", "key", "value") or last in UNITS


@pytest.mark.parametrize("name", TASKS)
def test_cut_task_computes_what_the_silenced_one_does(name):
    model, reference = task(name), task(name)
    groups = channel_groups(reference)
    keep = {layer: kept for layer, kept in cuts.halves(groups).keep.items() if _is_inner(layer)}
    assert len(keep) >= 4
    plan = keras_snare.PrunePlan(keep)
    cuts.silence_readers(groups, removed_channels(groups, plan))
    keras_snare.shrink(model, plan)
    inputs = inputs_for(model)
    assert_close(model(inputs), reference(inputs))


@pytest.mark.parametrize("name", TASKS)
def test_task_of_any_width_is_saved(name, tmp_path):
    model = task(name)
    groups = channel_groups(model)
    keras_snare.shrink(model, cuts.halves(groups))
    narrow = {one.width // 2 for one in groups.prunable() if one.name.endswith("token_embedding")}
    assert narrow == ({8} if name in NARROWER else set())
    keras_snare.save_model(model, tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    inputs = inputs_for(model)
    assert_close(again(inputs), model(inputs))


def test_callback_searches_inside_of_a_backbone():
    model = task("classifier")
    inputs, targets = inputs_for(model, 4), np.array([0, 1, 0, 1])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"], jit_compile=False)
    snare = keras_snare.SnareCallback(
        1.0, retrain_epochs=1, max_trials=2, layers=r".*(heads|intermediate_dense)$"
    )
    before = model.count_params()
    data = (inputs, targets)
    model.fit(*data, validation_data=data, epochs=6, callbacks=[snare], verbose=0)
    assert model.count_params() < before


def test_plain_model_of_blocks_is_saved(tmp_path):
    inputs = keras.Input((5,), dtype="int32")
    table = hub.layers.TokenAndPositionEmbedding(9, 5, 8, name="table")
    stream = hub.layers.TransformerEncoder(6, 2, name="encoder")(table(inputs))
    decoder = hub.layers.TransformerDecoder(6, 2, name="decoder")
    outputs = keras.layers.Dense(3, name="last")(decoder(stream, stream))
    model = models.randomize(keras.Model(inputs, outputs))
    plan = cuts.halves(channel_groups(model))
    inner = {layer: keep for layer, keep in plan.keep.items() if _is_inner(layer)}
    assert len(inner) == 2 + 3 * 3
    keras_snare.shrink(model, inner)
    keras_snare.save_model(model, tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    tokens = np.arange(10).reshape(2, 5) % 9
    assert_close(again(tokens), model(tokens))
    # The blocks work their heads out from the width of what they are given.
    keras_snare.shrink(model, {"table/token_embedding": [0, 1, 2]})
    with pytest.raises(keras_snare.UnsupportedModelError, match="Save its weights instead"):
        keras_snare.save_model(model, tmp_path / "model.keras")


def test_own_head_on_a_backbone_is_saved(tmp_path):
    backbone = build("bert")
    found = keras.layers.Dense(3, name="last")(backbone.output["pooled_output"])
    outside = keras.Model(backbone.input, found)
    inputs = {name: keras.Input((7,), dtype="int32", name=name) for name in backbone.input}
    nested = keras.Model(
        inputs, keras.layers.Dense(3, name="end")(backbone(inputs)["pooled_output"])
    )
    for at, model in enumerate((outside, nested)):
        report = keras_snare.prune(model, 0.3)
        assert report.params_after < report.params_before
        path = tmp_path / f"{at}.keras"
        keras_snare.save_model(model, path)
        given = inputs_for(backbone)
        assert_close(keras.models.load_model(path)(given), model(given))


def test_cached_calls_hold_the_heads():
    inputs, cache = keras.Input((1, 8)), keras.Input((2, 5, 2, 4))
    hidden = keras.layers.Dense(8, name="hidden")(inputs)
    attention = hub.layers.CachedMultiHeadAttention(2, 4, name="attention")
    attention.build((None, 1, 8), (None, 1, 8))
    attention.compute_output_spec = lambda query, value, **_: keras.KerasTensor((None, 1, 8))
    found = attention(hidden, hidden, cache=cache)
    groups = channel_groups(keras.Model([inputs, cache], found))
    assert groups["hidden"].reason == "attention looks keys and values up in a cache"


def test_heads_that_are_counted_by_a_scale_stay():
    model = hub.models.GemmaBackbone(**GEMMA)
    model.get_layer("decoder_block_0").attention.query_head_dim_normalize = False
    groups = channel_groups(model)
    assert "decoder_block_0/attention:heads" not in groups
    assert groups["decoder_block_1/attention:heads"].prunable


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.startswith("keras_hub.")])
def test_every_row_names_a_class(name):
    module, _, kind = name.rpartition(".")
    imported = __import__(module, fromlist=[kind])
    operation = object.__new__(getattr(imported, kind))
    assert rule_for(operation) is OPERATIONS[name]


def test_activation_is_known_by_its_name():
    from keras_hub.src.utils.keras_utils import gelu_approximate

    dense = keras.layers.Dense(4, activation=gelu_approximate, name="unit")
    model = models.chain((3,), dense, keras.layers.Dense(2))
    assert channel_groups(model)["unit"].prunable
