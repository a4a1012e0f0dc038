"""Embeddings: the width of what they look up."""

import keras

from keras_snare.graph.rules.dense import adapter_wall
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import CallView

layers = keras.layers


@row(layers.Embedding)
def embedding(view: CallView):
    layer = view.layer
    if adapter_wall(view):
        return [{}]
    view.freeze_other_axes((), "looks it up")
    width = view.produce(layer.output_dim, (layer.embeddings, 1))
    return [{len(view.output_shapes[0]) - 1: width}]


@row(layers.ReversibleEmbedding, wrapped=False)
def reversible_embedding(view: CallView):
    layer = view.layer
    if not view.arguments().get("reverse", False):
        found = embedding(view)
        if found[0] and not layer.tie_weights:
            # The way back is built with the way there, whether it is called or not.
            view.bind(layer.reverse_embeddings, 0, next(iter(found[0].values())))
        return found
    if adapter_wall(view):
        return [{}]
    last = view.axis(-1)
    if layer.tie_weights:
        read = view.read(layer.embeddings, 1, last)
    else:
        read = view.read(layer.reverse_embeddings, 0, last)
    passed = {axis: labels for axis, labels in view.inputs[0].items() if axis != last}
    positions = view.positions(view.output_shapes[0], *passed)
    view.count(
        2 * positions, *passed.values(), view.input_shapes[0][last] if read is None else read
    )
    return [passed]
