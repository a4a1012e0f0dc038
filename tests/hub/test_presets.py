"""The smallest presets of KerasHub's transformers at their real sizes, with random weights."""

import cuts
import models
import numpy as np
import pytest
from hub_models import hub, inputs_for

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.surgery import removed_channels

pytestmark = pytest.mark.slow

BERT_TINY = {
    "vocabulary_size": 30522,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 128,
    "intermediate_dim": 512,
}
GPT_2_BASE = {
    "vocabulary_size": 50257,
    "num_layers": 12,
    "num_heads": 12,
    "hidden_dim": 768,
    "intermediate_dim": 3072,
}
VIT_BASE = {
    "image_shape": (224, 224, 3),
    "patch_size": 16,
    "num_layers": 12,
    "num_heads": 12,
    "hidden_dim": 768,
    "mlp_dim": 3072,
}
WHISPER_TINY = {
    "vocabulary_size": 51864,
    "num_layers": 4,
    "num_heads": 6,
    "hidden_dim": 384,
    "intermediate_dim": 1536,
}
# Two of 18 blocks, and few words, so that it fits.
GEMMA_2B = {
    "vocabulary_size": 1000,
    "num_layers": 2,
    "num_query_heads": 8,
    "num_key_value_heads": 1,
    "hidden_dim": 2048,
    "intermediate_dim": 32768,
    "head_dim": 256,
}
# Class, arguments, number of parameters of the preset, and the share in weights that can be cut.
PRESETS = {
    "bert_tiny_en_uncased": (hub.models.BertBackbone, BERT_TINY, 4_385_920, 0.09),
    "gemma_2b_en, 2 blocks": (hub.models.GemmaBackbone, GEMMA_2B, None, 0.99),
    "gpt2_base_en": (hub.models.GPT2Backbone, GPT_2_BASE, 124_439_808, 0.68),
    "vit_base_patch16_224_imagenet": (hub.models.ViTBackbone, VIT_BASE, 85_798_656, 0.99),
    # The positions of the encoder, which are not trained, are not counted there.
    "whisper_tiny_en": (hub.models.WhisperBackbone, WHISPER_TINY, 37_184_256 + 576_000, 0.45),
}


@pytest.mark.parametrize("name", PRESETS)
def test_half_of_a_preset_goes_and_comes_back(name):
    kind, arguments, params, share = PRESETS[name]
    model = kind(**arguments)
    assert model.count_params() == params or params is None
    groups = channel_groups(model)
    reached = {
        id(one.binding.variable): one.binding.variable
        for group in groups.prunable()
        for one in group.members
    }
    found = sum(int(np.prod(one.shape)) for one in reached.values()) / model.count_params()
    assert found == pytest.approx(share, abs=0.01)
    plan = cuts.halves(groups)
    cuts.silence_readers(groups, removed_channels(groups, plan))
    inputs = inputs_for(model)
    expected = models.arrays(model(inputs))
    undo = keras_snare.shrink(model, plan)
    for one, other in zip(models.arrays(model(inputs)), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())
    undo.restore()
    for one, other in zip(models.arrays(model(inputs)), expected, strict=True):
        np.testing.assert_array_equal(one, other)
