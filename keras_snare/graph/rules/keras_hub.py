"""KerasHub's own layers, by the name of their class: the package itself is never imported.

What it makes of layers, such as its encoder and decoder blocks, needs no row: it is laid open.
"""

import numpy as np

from keras_snare.graph.rules.attention import attended_along, multi_head_attention
from keras_snare.graph.rules.dense import has_adapter
from keras_snare.graph.rules.embedding import reversible_embedding
from keras_snare.graph.rules.table import operation
from keras_snare.graph.view import PRODUCER, READER, CallView

_LAYERS, _MODELS = "keras_hub.src.layers.modeling", "keras_hub.src.models"
MULTI_HEAD_ATTENTION = (
    f"{_LAYERS}.cached_multi_head_attention.CachedMultiHeadAttention",
    f"{_MODELS}.whisper.whisper_cached_multi_head_attention.WhisperCachedMultiHeadAttention",
)
GEMMA_ATTENTION = f"{_MODELS}.gemma.gemma_attention.CachedGemmaAttention"
REVERSIBLE_EMBEDDING = f"{_LAYERS}.reversible_embedding.ReversibleEmbedding"

operation(REVERSIBLE_EMBEDDING)(reversible_embedding)


@operation(*MULTI_HEAD_ATTENTION)
def cached_attention(view: CallView):
    if view.arguments().get("cache") is None:
        return multi_head_attention(view)
    view.freeze_other_axes((), "looks keys and values up in a cache")
    return [{} for _ in view.output_shapes]


@operation(GEMMA_ATTENTION)
def gemma_attention(view: CallView):
    layer = view.layer
    dense = (layer.query_dense, layer.key_dense, layer.value_dense, layer.output_dense)
    cached = view.arguments().get("cache") is not None
    if cached or not layer.query_head_dim_normalize or any(map(has_adapter, dense)):
        view.freeze_other_axes((), "is cached, scaled by its number of heads or adapted")
        return [{} for _ in view.output_shapes]
    source = view.place(view.arguments()["x"])
    attended_along(view, {source})
    # A head of keys and values goes with all heads of queries that look at it; queries that all
    # look at the same one go one by one.
    queries, keys = layer.num_query_heads, layer.num_key_value_heads
    heads = view.produce(queries if keys == 1 else keys, kind="heads")
    asking = np.repeat(heads, queries // len(heads))
    known = None if keys == 1 else heads
    last, length = view.axis(-1), view.positions(view.input_shapes[source][:-1])
    for one, labels in zip(dense, (asking, known, known), strict=False):
        read = view.read(one.kernel, 1, last, source)
        view.bind(one.kernel, 0, labels, PRODUCER)
        size = view.input_shapes[source][last] if read is None else read
        view.count(2 * length * layer.head_dim, size, keys if labels is None else labels)
    view.bind(layer.output_dense.kernel, 0, asking, READER)
    width = int(layer.output_dense.kernel.shape[-1])
    model = view.produce(width, (layer.output_dense.kernel, -1))
    view.count(2 * length * layer.head_dim, asking, model)
    view.count(4 * length * length * layer.head_dim, asking)
    return [{last: model}]


@operation(f"{_MODELS}.gemma.rms_normalization.RMSNormalization")
def gemma_normalization(view: CallView):
    view.bind(view.layer.scale, 0, view.inputs[0].get(view.axis(-1)))
    view.count_elements(view.inputs[0], view.output_shapes[0], 8)
    return [view.inputs[0]]


@operation(f"{_LAYERS}.position_embedding.PositionEmbedding")
def position_embedding(view: CallView):
    """As many positions as the input has, as wide as the input is."""
    last = view.axis(-1)
    view.freeze_other_axes((last,), "counts positions along it")
    labels = view.inputs[0].get(last)
    view.bind(view.layer.position_embeddings, 1, labels)
    return [{} if labels is None else {last: labels}]


@operation(f"{_MODELS}.whisper.whisper_backbone.Padder")
def padder(view: CallView):
    view.freeze_other_axes((2,), "pads it")
    return [{axis: labels for axis, labels in view.inputs[0].items() if axis == 2}]
