"""Clusters of weights that stay together in every training step, inside the compiled step."""

import keras
import numpy as np

from keras_snare import step_hooks
from keras_snare.clustering.codebooks import Codebook, Codebooks, values_of
from keras_snare.masking.kernels import Kernel
from keras_snare.replicas import mirrored
from keras_snare.step_hooks import StepHook


class ClusteredStep(StepHook):
    """Moves the weights that share a value by the mean of their updates, whatever the optimizer.

    A value of exactly zero does not move. What is needed for it lies beside the model, which stays
    a plain Keras model.

    Args:
        model: a compiled model.
        kernels: whose weights are clustered.
        codebooks: their values now.

    Reference:
        Han et al., "Deep Compression", ICLR 2016, sum the gradients of a cluster up; the mean of
        the updates is the same for stochastic gradient descent but for the learning rate, and goes
        with every other optimizer too.
    """

    def __init__(self, model: keras.Model, kernels: list[Kernel], codebooks: Codebooks) -> None:
        self.model = model
        self.kernels = kernels
        self._parts = []
        for kernel in kernels:
            book = codebooks[kernel.name]
            counts = np.bincount(book.indices.reshape(-1), minlength=len(book.values))
            moves = np.where(book.values == 0, 0.0, 1 / np.maximum(counts, 1))
            dtype = kernel.variable.dtype
            values = mirrored(model, book.values, dtype)
            indices = mirrored(model, book.indices.reshape(-1), "int32")
            moves = keras.ops.convert_to_tensor(moves, dtype=dtype)
            self._parts.append((kernel.variable, values, indices, moves))

    def end(self) -> Codebooks:
        """Brings together what something other than the training step may have put in.

        Returns:
            The codebooks of the trained model.
        """
        self.detach()
        found = {}
        for kernel, (variable, _, indices, moves) in zip(self.kernels, self._parts, strict=True):
            places = keras.ops.convert_to_numpy(indices.value)
            weights = values_of(kernel).reshape(-1).astype(np.float64)
            sums = np.bincount(places, weights, minlength=len(moves))
            counts = np.maximum(np.bincount(places, minlength=len(moves)), 1)
            means = np.where(keras.ops.convert_to_numpy(moves) == 0, 0.0, sums / counts)
            book = Codebook(means.astype(variable.dtype), places.reshape(kernel.shape))
            variable.assign(book.weights)
            found[kernel.name] = book
        return Codebooks(found)

    def attach(self) -> None:
        """Begins to hold; the training step has to be compiled after this."""
        step_hooks.attach(self.model, self)

    def detach(self) -> None:
        """Lets go, and drops the compiled step that still holds the clusters."""
        step_hooks.detach(self.model, self)

    def after(self) -> None:
        """Brings the weights of each cluster together again."""
        ops = keras.ops
        for variable, values, indices, moves in self._parts:
            # Sums of small differences are exact enough in single precision, those of weights not.
            moved = ops.reshape(variable.value, (-1,)) - ops.take(values.value, indices.value)
            sums = ops.segment_sum(moved, indices.value, num_segments=values.shape[0])
            values.assign_add(sums * moves)
            together = ops.take(values.value, indices.value)
            variable.assign(ops.reshape(together, variable.shape))
