"""Attention: whole heads, the width of queries and keys, the width of values, and the model's."""

import keras
import numpy as np

from keras_snare.graph.channels import Labels
from keras_snare.graph.rules.dense import has_adapter
from keras_snare.graph.rules.products import contract
from keras_snare.graph.rules.table import row
from keras_snare.graph.trace import projections_of
from keras_snare.graph.view import PRODUCER, READER, THROUGH, CallView

layers = keras.layers


@row(layers.MultiHeadAttention, wrapped=False)
def multi_head_attention(view: CallView):
    inner = _Projections(view)
    if inner.adapted or len(inner.dense.output.kernel.shape) != 3:
        view.freeze_other_axes((), "is quantized, carries LoRA matrices or shapes its output")
        return [{} for _ in view.output_shapes]
    _, heads, keys = (int(size) for size in inner.dense.query.kernel.shape)
    values = int(inner.dense.value.kernel.shape[-1])
    heads = view.produce(heads, kind="heads")
    keys = view.produce(keys, kind="key")
    values = view.produce(values, kind="value")
    inner.project(heads, heads, keys, values)
    return inner.outputs(heads, keys, values)


@row(layers.GroupQueryAttention, wrapped=False)
def grouped_query_attention(view: CallView):
    layer = view.layer
    inner = _Projections(view)
    if inner.adapted:
        view.freeze_other_axes((), "is quantized or carries LoRA matrices")
        return [{} for _ in view.output_shapes]
    # A head of keys and values goes with all heads of queries that look at it.
    heads = view.produce(layer.num_key_value_heads, kind="heads")
    width = view.produce(layer.head_dim, kind="head")
    asking = np.repeat(heads, layer.num_repeats)
    inner.project(asking, heads, width, width)
    outputs = inner.outputs(asking, width, width)
    last = view.axis(-1)
    # What comes out has the width of the query, whatever the configuration says.
    query = view.inputs[0].get(last)
    if query is None:
        view.space.freeze(outputs[0][last], f"{view.name} gives it the width of its fixed query")
    else:
        view.space.join(query, outputs[0][last])
    return outputs


def attended_along(view: CallView, attended: set[int]) -> None:
    """Freezes every axis but the last of what is attended to, and masks whole."""
    known = {view.keys[at] for at in attended}
    for key, axes in zip(view.keys, view.inputs, strict=True):
        for axis, labels in axes.items():
            if key not in known or axis != view.axis(-1):
                view.space.freeze(labels, f"{view.name} attends along it")


class _Projections:
    """The dense layers inside, and what they share."""

    def __init__(self, view: CallView) -> None:
        self.view, self.layer = view, view.layer
        arguments = view.arguments()
        given = [arguments["query"], arguments["key"], arguments["value"]]
        given[1] = given[2] if given[1] is None else given[1]
        self.query, self.key, self.value = map(view.place, given)
        self.mask = arguments.get("attention_mask")
        self.dense = projections_of(self.layer)
        parts = (self.dense.query, self.dense.key, self.dense.value, self.dense.output)
        self.adapted = any(has_adapter(one) for one in parts)
        attended_along(view, {self.query, self.key, self.value})

    def project(self, asking: Labels, heads: Labels, keys: Labels, values: Labels) -> None:
        """Binds the projections of queries, keys and values.

        The keys count as readers of the queries: without them, a component of a query is unheard.
        """
        self._dense(self.dense.query, self.query, asking, keys, PRODUCER)
        self._dense(self.dense.key, self.key, heads, keys, READER)
        self._dense(self.dense.value, self.value, heads, values, PRODUCER)
        if self.dense.gate is not None:
            self._dense(self.dense.gate, self.query, asking, values, THROUGH)
        mask = self.mask
        if mask is not None and len(mask.shape) == 4 and mask.shape[1] != 1:
            self.view.space.freeze(asking, f"{self.view.name} has a mask for each head")

    def _dense(self, dense, source: int, heads: Labels, width: Labels, role: str) -> None:
        view, last = self.view, self.view.axis(-1)
        read = view.read(dense.kernel, 0, last, source)
        view.bind(dense.kernel, 1, heads, PRODUCER)
        view.bind(dense.kernel, 2, width, role)
        if dense.bias is not None:
            view.bind(dense.bias, 0, heads)
            view.bind(dense.bias, 1, width, THROUGH if role == PRODUCER else role)
        size = view.input_shapes[source][last] if read is None else read
        view.count(2 * self._length(source), size, heads, width)

    def _length(self, source: int) -> int:
        return self.view.positions(self.view.input_shapes[source][:-1])

    def outputs(self, asking: Labels, keys: Labels, values: Labels) -> list:
        """Binds the projection of what the heads found; returns the labels of the outputs."""
        view, dense = self.view, self.dense.output
        view.bind(dense.kernel, 0, asking, READER)
        view.bind(dense.kernel, 1, values, READER)
        width = int(dense.kernel.shape[-1])
        model = view.produce(width, (dense.kernel, -1), (dense.bias, -1))
        length = self._length(self.query)
        view.count(2 * length, asking, values, model)
        view.count(2 * length * self._length(self.value), asking, keys)
        view.count(2 * length * self._length(self.value), asking, values)
        found = [{len(view.output_shapes[0]) - 1: model}]
        return found if len(view.output_shapes) == 1 else [*found, {1: asking}]


@row(layers.Attention, layers.AdditiveAttention, wrapped=False)
def attention(view: CallView):
    at = [view.place(one) for one in view.arguments()["inputs"]]
    query, value, key = (*at, at[1])[:3]
    attended_along(view, {query, value, key})
    asked = [(view.input_shapes[one], view.inputs[one]) for one in (query, key)]
    scores = contract(view, asked, ["bqd", "bkd"], "bqk")
    assert not scores, "queries and keys meet along their last axis"
    scale = getattr(view.layer, "scale", None)
    if scale is not None and len(scale.shape):
        view.bind(scale, 0, view.inputs[query].get(2))
    axes = {2: view.inputs[value][2]} if 2 in view.inputs[value] else {}
    steps = view.positions(view.input_shapes[query][:2]) * view.positions(
        view.input_shapes[key][:2]
    )
    for source in (query, value):
        view.count(2 * steps, view.inputs[source].get(2, view.input_shapes[source][2]))
    return [axes, {}][: len(view.output_shapes)]
