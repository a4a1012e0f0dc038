"""Recurrent layers: a path takes a recurrent kernel once, from one step to the next."""

from typing import Any

import keras

from keras_snare.criteria.flow.table import carries_flow, layer, value_of
from keras_snare.criteria.flow.windows import channels_last

layers = keras.layers

_STATES = {layers.SimpleRNNCell: 1, layers.GRUCell: 1, layers.LSTMCell: 2}


@layer(layers.RNN)
def recurrent(recurrent, call, sequences, initial_state=None, *args: Any, **kwargs: Any):
    cells = recurrent.cell
    cells = list(cells.cells) if type(cells) is layers.StackedRNNCells else [cells]
    if any(type(cell) not in _STATES for cell in cells):
        return call(sequences, initial_state, *args, **kwargs)
    initial, states = _flows(initial_state), []
    for cell in cells:
        count = _STATES[type(cell)]
        given, initial = initial[:count], initial[count:]
        entering = _units(cell, keras.ops.matmul(sequences, value_of(cell.kernel)))
        before = _before(entering, given)
        sequences = entering + _units(
            cell, keras.ops.matmul(before, value_of(cell.recurrent_kernel))
        )
        states += [keras.ops.mean(sequences, axis=1)] * count
    return _results(recurrent, sequences, states)


def _units(cell, columns):
    """The gates of a unit lie side by side; it has their mean."""
    gates = keras.ops.reshape(columns, (*columns.shape[:-1], -1, cell.units))
    return keras.ops.mean(gates, axis=-2)


@layer(layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)
def convolutional_lstm(recurrent, call, sequences, initial_state=None, *args: Any, **kwargs: Any):
    cell = recurrent.cell

    def entered(frames):
        return cell.input_conv(frames, _filters(cell.kernel), padding=cell.padding)

    def repeated(frames):
        return cell.recurrent_conv(frames, _filters(cell.recurrent_kernel))

    entering = _by_frame(cell, entered, sequences)
    before = _before(entering, _flows(initial_state))
    sequences = entering + _by_frame(cell, repeated, before)
    return _results(recurrent, sequences, [keras.ops.mean(sequences, axis=1)] * 2)


def _filters(kernel):
    gates = keras.ops.split(value_of(kernel), 4, axis=-1)
    return sum(gates) / 4


def _by_frame(cell, convolve, sequences):
    batch, steps, *frame = sequences.shape
    frames = keras.ops.reshape(sequences, (batch * steps, *frame))
    result = channels_last(cell, convolve, frames)
    return keras.ops.reshape(result, (batch, steps, *result.shape[1:]))


def _flows(initial_state):
    return [one for one in keras.tree.flatten(initial_state) if carries_flow(one)]


def _before(steps, given):
    """What each step finds of the one before it; the first finds the given states, or the last."""
    first = keras.ops.mean(keras.ops.stack(given), axis=0) if given else steps[:, -1]
    return keras.ops.concatenate([first[:, None], steps[:, :-1]], axis=1)


def _results(recurrent, sequences, states):
    result = sequences if recurrent.return_sequences else states[-1]
    return (result, *states) if recurrent.return_state else result
