"""Attention layers."""

import keras

from keras_snare.graph.trace import projections_of
from keras_snare.surgery import variables
from keras_snare.surgery.attributes.table import factors, row

layers = keras.layers


@row(variables.ATTENTION, layers.MultiHeadAttention)
def multi_head_attention(resized):
    layer = resized.layer
    _, heads, key = (int(size) for size in projections_of(layer).query.kernel.shape)
    value, model = (int(size) for size in projections_of(layer).output.kernel.shape[1:])
    same = model == resized.input_shapes[0][-1] and not layer.get_config()["output_shape"]
    return variables.attention_attributes(layer, heads, key, value, None if same else model)


@row(variables.GROUPED_ATTENTION, layers.GroupQueryAttention)
def grouped_query_attention(resized):
    heads = int(projections_of(resized.layer).key.kernel.shape[1])
    asking, width, model = (int(size) for size in projections_of(resized.layer).output.kernel.shape)
    return variables.grouped_attention_attributes(heads, asking, width, model)


@factors(layers.MultiHeadAttention)
def multi_head_scale(resized):
    return _queries(resized, "key")


@factors(layers.GroupQueryAttention)
def grouped_query_scale(resized):
    return _queries(resized, "head")


def _queries(resized, kind: str):
    """Attention divides by the root of the keys' width; narrower keys must not change that."""
    before, now = len(resized.sized.units[kind]), resized.units(kind)
    dense = projections_of(resized.layer).query
    held = [one for one in (dense.kernel, dense.bias) if one is not None]
    return [] if now == before else [(one, (now / before) ** 0.5) for one in held]
