"""Layers whose kernel is made of a fixed basis: of it, too, the size counts and not the sign."""

import numpy as np

from keras_snare.criteria.flow.table import layer
from keras_snare.criteria.flow.windows import channels_last
from keras_snare.graph.opening import replaced
from keras_snare.layers import DCTConv2D, DCTDense


@layer(DCTDense)
def dct_dense(dense, call, inputs):
    with replaced(dense, "fixed_basis", np.abs(dense.fixed_basis)):
        return call(inputs)


@layer(DCTConv2D)
def dct_convolution(convolution, call, inputs):
    with replaced(convolution, "fixed_basis", np.abs(convolution.fixed_basis)):
        return channels_last(convolution, call, inputs)
