"""Recurrent layers and their cells."""

import keras

from keras_snare.surgery.attributes.table import row

layers = keras.layers
# Keras does not export their class.
CONVOLUTIONAL_CELL = type(layers.ConvLSTM2D(1, 1).cell)


@row(("units", "state_size", "output_size"), layers.SimpleRNNCell, layers.GRUCell, layers.LSTMCell)
def recurrent_cell(resized):
    units = resized.units()
    several = isinstance(resized.layer.state_size, list)
    return {
        "units": units,
        "state_size": [units] * len(resized.layer.state_size) if several else units,
        "output_size": units,
    }


@row(
    ("state_size",),
    layers.SimpleRNN,
    layers.GRU,
    layers.LSTM,
    layers.RNN,
)
def recurrent(resized):
    size = resized.layer.cell.state_size
    several = isinstance(size, (list, tuple))
    return {"state_size": list(size) if several else [size]}


@row(("filters", "input_dim", "kernel_shape", "input_spec"), CONVOLUTIONAL_CELL)
def convolutional_cell(resized):
    layer, kernel = resized.layer, tuple(resized.layer.kernel.shape)
    before = layer.input_spec
    shape = (None, *resized.input_shapes[0][1:])
    return {
        "filters": resized.units(),
        "input_dim": int(kernel[-2]),
        "kernel_shape": kernel,
        "input_spec": layers.InputSpec(ndim=before.ndim, shape=shape),
    }
