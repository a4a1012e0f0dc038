"""KerasHub's own layers, by the name of their class."""

from keras_snare.graph.rules import keras_hub
from keras_snare.surgery import variables
from keras_snare.surgery.attributes.attention import multi_head_attention, multi_head_scale
from keras_snare.surgery.attributes.table import factors, row
from keras_snare.surgery.attributes.weights import embedding

row(variables.ATTENTION, *keras_hub.MULTI_HEAD_ATTENTION)(multi_head_attention)
factors(*keras_hub.MULTI_HEAD_ATTENTION)(multi_head_scale)
row(("output_dim",), keras_hub.REVERSIBLE_EMBEDDING)(embedding)


@row(
    ("num_query_heads", "num_key_value_heads", "num_key_value_groups", "hidden_dim"),
    keras_hub.GEMMA_ATTENTION,
)
def gemma_attention(resized):
    layer = resized.layer
    queries, width, _ = (int(size) for size in layer.query_dense.kernel.shape)
    keys = int(layer.key_dense.kernel.shape[0])
    return {
        "num_query_heads": queries,
        "num_key_value_heads": keys,
        "num_key_value_groups": queries // keys,
        "hidden_dim": width,
    }
