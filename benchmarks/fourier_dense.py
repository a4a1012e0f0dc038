"""A dense layer of scattered Fourier coefficients, to be measured: the library leaves it out.

Gao et al., "Parameter-Efficient Fine-Tuning with Discrete Fourier Transform", ICML 2024, make what
is added to a trained kernel in this way. As a layer that is trained from its beginning it wins at
no budget, and it is slower than `Dense`, since the whole kernel is made in every step.
"""

import keras
import numpy as np
import tensorflow as tf


class FourierDense(keras.layers.Layer):
    """The kernel is the real part of an inverse Fourier transform of chosen coefficients.

    Args:
        units: int, features that come out.
        coefficients: int, how many of the kernel's frequencies, drawn at random.
        activation: as of `keras.layers.Dense`.
        seed: int, of the draw.
    """

    def __init__(self, units: int, coefficients: int, activation=None, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.coefficients = coefficients
        self.activation = keras.activations.get(activation)
        self.seed = seed

    def build(self, input_shape):
        size = input_shape[-1] * self.units
        drawn = np.random.default_rng(self.seed).permutation(size)[: self.coefficients]
        self.places = np.stack(np.unravel_index(drawn, (input_shape[-1], self.units)), axis=1)
        self.grid = (input_shape[-1], self.units)
        # With it, the coefficients are of the size of weights of a dense layer.
        self.scale = size / np.sqrt(self.coefficients * input_shape[-1] / 2)
        self.spectrum = self.add_weight(
            name="spectrum",
            shape=(self.coefficients,),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        scattered = tf.scatter_nd(self.places, self.spectrum.value, self.grid)
        kernel = tf.math.real(tf.signal.ifft2d(tf.cast(scattered, tf.complex64))) * self.scale
        return self.activation(tf.matmul(inputs, kernel) + self.bias)
