"""KerasHub's transformers, small. Tests that import this are skipped where it is missing."""

import keras
import models
import numpy as np
import pytest

hub = pytest.importorskip("keras_hub")

TEXT = {
    "vocabulary_size": 20,
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 16,
    "intermediate_dim": 12,
}
GEMMA = {
    "vocabulary_size": 20,
    "num_layers": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 24,
    "head_dim": 4,
}
GEMMA_2 = {
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
    "attention_logit_soft_cap": 50,
    "final_logit_soft_cap": 30,
    "use_sliding_window_attention": True,
    "sliding_window_size": 3,
    "dropout": 0.1,
}
VIT = {
    "image_shape": (8, 8, 3),
    "patch_size": 4,
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 16,
    "mlp_dim": 12,
}
LENGTHS = {"max_encoder_sequence_length": 16, "max_decoder_sequence_length": 8}
BACKBONES = {
    "bert": lambda: hub.models.BertBackbone(**TEXT, max_sequence_length=8),
    "gemma": lambda: hub.models.GemmaBackbone(**GEMMA),
    "gemma_2": lambda: hub.models.GemmaBackbone(**GEMMA, **GEMMA_2),
    "gemma_single": lambda: hub.models.GemmaBackbone(**{**GEMMA, "num_key_value_heads": 1}),
    "gpt_2": lambda: hub.models.GPT2Backbone(**TEXT, max_sequence_length=8),
    "vit": lambda: hub.models.ViTBackbone(**VIT),
    "whisper": lambda: hub.models.WhisperBackbone(**TEXT, num_mels=6, **LENGTHS),
}


def build(name, seed=0):
    """A backbone by name, with random weights."""
    keras.utils.clear_session(free_memory=False)
    return models.randomize(BACKBONES[name](), seed)


def inputs_for(model, batch=2, length=7):
    """Random inputs; the end of the first example is masked."""
    random = np.random.default_rng(1)

    def values(name, tensor):
        if "mask" in name:
            mask = np.ones((batch, length), "int32")
            mask[0, -2:] = 0
            return mask
        if tensor.dtype == "int32":
            return random.integers(0, 2 if "segment" in name else 20, (batch, length), "int32")
        shape = [size or 2 * length for size in tensor.shape[1:]]
        return random.normal(size=(batch, *shape)).astype("float32")

    if isinstance(model.input, dict):
        return {name: values(name, tensor) for name, tensor in model.input.items()}
    return values("", model.input)


def zeros_like(model, inputs):
    return keras.tree.map_structure(np.zeros_like, model.predict(inputs, verbose=0))


def assert_close(found, expected):
    for one, other in zip(models.arrays(found), models.arrays(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-4)
