"""Dense layers whose kernel is made of fewer numbers."""

import numpy as np

from keras_snare.graph.rules.activation import activated
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import PRODUCER, READER, CallView
from keras_snare.layers import DCTDense, KroneckerDense, LowRankDense


@row(DCTDense)
def dct_dense(view: CallView):
    view.freeze_other_axes((), "reads it as frequencies, each of which is made of all its places")
    layer, last = view.layer, view.axis(-1)
    units = view.produce(layer.units, (layer.kernel, 1), (layer.bias, 0))
    frequencies = view.produce(len(layer.frequencies), (layer.kernel, 0), kind="frequency")
    factors = [view.positions(view.output_shapes[0], last)]
    view.count(2, *factors, view.input_shapes[0][last], frequencies)
    view.count(2, *factors, frequencies, units)
    return _ended(view, units, factors)


@row(LowRankDense)
def low_rank_dense(view: CallView):
    layer, last = view.layer, view.axis(-1)
    passed = {axis: labels for axis, labels in view.inputs[0].items() if axis != last}
    read = view.read(layer.first, 0, last)
    ranks = view.produce(layer.rank, (layer.first, 1), kind="rank")
    view.bind(layer.second, 0, ranks, READER)
    units = view.produce(layer.units, (layer.second, 1), (layer.bias, 0))
    factors = [view.positions(view.output_shapes[0], last, *passed), *passed.values()]
    view.count(2, *factors, view.input_shapes[0][last] if read is None else read, ranks)
    view.count(2, *factors, ranks, units)
    return _ended(view, units, factors, passed)


@row(KroneckerDense)
def kronecker_dense(view: CallView):
    view.freeze_other_axes((), "reads it through factors of its width")
    layer, last = view.layer, view.axis(-1)
    a, b, c, d = layer.factor_shape
    units = view.produce(layer.units, (layer.bias, 0))
    # A column of the first factor makes the units of a row, in each of the products.
    rows = units.reshape(c, d)
    view.space.join_rows(rows)
    view.bind(layer.first, 1, np.tile(rows[:, 0], layer.rank), PRODUCER)
    factors = [view.positions(view.output_shapes[0], last)]
    view.count(2 * layer.rank, *factors, a, b, d)
    view.count(2 * layer.rank, *factors, a, units)
    return _ended(view, units, factors)


def _ended(view: CallView, units, factors: list, passed: dict | None = None) -> list:
    layer, last = view.layer, view.axis(-1)
    if layer.bias is not None:
        view.count(1, *factors, units)
    return [activated(view, layer.activation, {**(passed or {}), last: units})]
