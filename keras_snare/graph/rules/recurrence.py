"""Recurrent layers: their units feed back into themselves, so they are readers of their own.

The gates of a unit lie in one kernel, side by side: a unit has one column in each.
"""

from math import prod

import keras
import numpy as np

from keras_snare.graph.channels import AxisLabels, Labels
from keras_snare.graph.rules.activation import activated
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import PRODUCER, READER, THROUGH, CallView

layers = keras.layers

GATES = {layers.SimpleRNNCell: 1, layers.GRUCell: 3, layers.LSTMCell: 4}


@row(layers.SimpleRNN, layers.GRU, layers.LSTM, layers.RNN)
def recurrent(view: CallView):
    for axis, labels in view.inputs[0].items():
        if axis != view.axis(-1):
            view.space.freeze(labels, f"{view.name} runs along it")
    cells = view.layer.cell
    cells = cells.cells if type(cells) is layers.StackedRNNCells else [cells]
    if any(type(cell) not in GATES for cell in cells):
        view.freeze_other_axes((), "has a cell without a rule")
        return [{} for _ in view.output_shapes]
    states = []
    incoming = dict(view.inputs[0])
    for at, cell in enumerate(cells):
        units = _cell(view, cell, incoming, at if len(cells) > 1 else None)
        states += [units] * (2 if type(cell) is layers.LSTMCell else 1)
        incoming = {view.axis(-1): units}
    return _outputs(view, states, incoming[view.axis(-1)])


def _cell(view: CallView, cell, incoming: AxisLabels, number: int | None) -> Labels:
    """Binds the weights of one cell; returns the labels of its units."""
    steps, last = view.input_shapes[0][1], view.axis(-1)
    width = cell.units
    seen = view.inner(
        cell,
        [incoming],
        [view.input_shapes[0]],
        [(None, width)],
        None if number is None else str(number),
    )
    gates = GATES[type(cell)]
    if number:
        # What the cell below made is no tensor of the graph.
        seen.bind(cell.kernel, 0, incoming[last], READER)
    else:
        seen.read(cell.kernel, 0, last)
    units = seen.produce(width)
    columns = np.tile(units, gates)
    seen.bind(cell.kernel, 1, columns, PRODUCER)
    seen.bind(cell.recurrent_kernel, 0, units, READER)
    seen.bind(cell.recurrent_kernel, 1, columns, THROUGH)
    if cell.use_bias:
        seen.bind(cell.bias, -1, columns, THROUGH)
    activated(seen, cell.activation, {1: units})
    activated(seen, getattr(cell, "recurrent_activation", None), {1: units})
    steps = steps or 1
    size = int(cell.kernel.shape[0])
    read = incoming.get(last)
    seen.count(2 * gates * steps, size if read is None else read, units)
    seen.count(2 * gates * steps, units, units)
    seen.count(8 * gates * steps, units)
    seen.done([{1: units}])
    return units


def initial_states(view: CallView) -> list[int]:
    """Numbers of the inputs that start the states; what masks the steps is kept whole."""
    mask = None if view.call is None else view.arguments().get("mask")
    at = view.place(mask) if isinstance(mask, keras.KerasTensor) else None
    if at is not None:
        view.space.freeze_all(view.inputs[at], f"{view.name} is masked by it")
    return [place for place in range(len(view.inputs)) if place not in (0, at)]


def _outputs(view: CallView, states: list[Labels], units: Labels) -> list[AxisLabels]:
    layer = view.layer
    for place, state in zip(initial_states(view), states, strict=False):
        given = view.inputs[place]
        # An initial state of fixed width holds the units that it starts.
        if 1 in given:
            view.space.join(given[1], state)
        else:
            view.space.freeze(state, f"{view.name} starts from a state of fixed width")
    if layer.stateful:
        for variable, state in zip(keras.tree.flatten(layer.states), states, strict=True):
            view.bind(variable, 1, state)
    made = [{2: units} if layer.return_sequences else {1: units}]
    if layer.return_state:
        made += [{1: state} for state in states]
    return made


@row(layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)
def convolutional_lstm(view: CallView):
    layer, cell = view.layer, view.layer.cell
    first = layer.data_format == "channels_first"
    axis = 2 if first else view.axis(-1)
    view.freeze_other_axes((axis,), "moves its window over it")
    if view.inputs[1:] or layer.stateful:
        view.freeze_other_axes((), "starts from a state of fixed width")
        return [{} for _ in view.output_shapes]
    frame = (view.input_shapes[0][0], *view.input_shapes[0][2:])
    inside = {at - 1: labels for at, labels in view.inputs[0].items()}
    seen = view.inner(cell, [inside], [frame], [frame], shift=1)
    read = seen.read(cell.kernel, -2, axis - 1)
    filters = seen.produce(cell.filters)
    columns = np.tile(filters, 4)
    seen.bind(cell.kernel, -1, columns, PRODUCER)
    seen.bind(cell.recurrent_kernel, -2, filters, READER)
    seen.bind(cell.recurrent_kernel, -1, columns)
    if cell.use_bias:
        seen.bind(cell.bias, 0, columns)
    activated(seen, cell.activation, {1: filters})
    activated(seen, cell.recurrent_activation, {1: filters})
    steps = view.input_shapes[0][1] or 1
    positions = prod(size or 1 for at, size in enumerate(frame) if at and at != axis - 1)
    taps = 8 * prod(cell.kernel_size) * steps * positions
    seen.count(taps, frame[axis - 1] if read is None else read, filters)
    seen.count(taps, filters, filters)
    seen.done([{axis - 1: filters}])
    made = [{axis if layer.return_sequences else axis - 1: filters}]
    if layer.return_state:
        made += [{axis - 1: filters}] * 2
    return made
