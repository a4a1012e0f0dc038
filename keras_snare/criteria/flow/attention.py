"""Attention: every position looks at all others, in proportion to query times key."""

from typing import Any

import keras

from keras_snare.criteria.flow.table import layer
from keras_snare.graph.trace import projections_of


@layer(keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)
def heads(
    attention,
    call,
    query,
    value,
    key=None,
    *args: Any,
    return_attention_scores=False,
    **kwargs: Any,
):
    parts = projections_of(attention)
    asked, known = parts.query(query), parts.key(value if key is None else key)
    told = parts.value(value)
    rows = [_rows(one) for one in (asked, known, told)]
    # Several heads of queries may share one of keys and values.
    repeats = rows[0].shape[1] // rows[1].shape[1]
    known_rows, told_rows = (keras.ops.repeat(one, repeats, axis=1) for one in rows[1:])
    shares = _shares(rows[0], known_rows)
    found = keras.ops.swapaxes(keras.ops.matmul(shares, told_rows), 1, 2)
    found = keras.ops.reshape(found, (*asked.shape[:-1], told.shape[-1]))
    if parts.gate is not None:
        gate = parts.gate(query)
        found = found * _in_proportion_to_itself(gate)
    result = parts.output(found)
    return (result, shares) if return_attention_scores else result


@layer(keras.layers.Attention, keras.layers.AdditiveAttention)
def plain(attention, call, inputs, *args: Any, return_attention_scores=False, **kwargs: Any):
    query, value, key = (*inputs, inputs[1])[:3]
    shares = _shares(query, key)
    result = keras.ops.matmul(shares, value)
    return (result, shares) if return_attention_scores else result


def _rows(heads):
    """`(batch, ..., heads, width)` as `(batch, heads, positions, width)`."""
    flat = keras.ops.reshape(heads, (heads.shape[0], -1, *heads.shape[-2:]))
    return keras.ops.swapaxes(flat, 1, 2)


def _shares(query, key):
    """What the softmax makes of query times key: shares that add up to one."""
    products = keras.ops.matmul(query, keras.ops.swapaxes(key, -1, -2))
    sums = keras.ops.sum(products, axis=-1, keepdims=True)
    return keras.ops.divide_no_nan(products, keras.ops.stop_gradient(sums))


def _in_proportion_to_itself(gate):
    """An open gate: one everywhere, with the whole flow of what passes it."""
    return keras.ops.divide_no_nan(gate, keras.ops.stop_gradient(gate))
