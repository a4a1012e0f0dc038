"""What data show of the inputs and outputs of layers."""

from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np

from keras_snare.criteria import batches, flat_inputs
from keras_snare.criteria.batches import no_example
from keras_snare.factorize.factors import Moments
from keras_snare.graph import Trace

# Of a batch no more places are looked at for their patches, whose products take the most time.
_MOST_ROWS = 8192
# Numbers that are made at once: a quarter of a gigabyte.
_AT_ONCE = 2**26


def moments(
    graph: Trace, layers: list[Any], data: Any, batch_size: int, patches: bool
) -> dict[int, Moments]:
    """Returns what the layers read and compute on data, by id of the layer.

    Args:
        graph: of the model.
        layers: dense layers and convolutions.
        data: what `check_data` lets pass.
        batch_size: int, for arrays.
        patches: whether the moments of all that a kernel reads at a place are asked for, where it
            has several taps.

    Raises:
        ValueError: when there is no example, the model does not take them, or what a layer reads of
            them is not finite.
    """
    sums = {id(layer): _sums(layer, patches) for layer in layers}

    def read(call, key, value):
        if id(call.operation) in sums:
            sums[id(call.operation)].add(value)
        return value

    for x, _ in batches(data, batch_size):
        graph.run(flat_inputs(graph, x), read)
    return {at: one.moments() for at, one in sums.items()}


def check_finite(name: str, sums: Any) -> None:
    """Checks that what a layer reads of data can be added up.

    Raises:
        ValueError: when some of it is NaN or infinite.
    """
    if not np.isfinite(sums).all():
        raise ValueError(
            f"Expected finite data. Received: what layer {name!r} reads of `data` has NaN or "
            "infinite numbers. Look for them in the data, and in the weights of the layers before."
        )


def _sums(layer: keras.layers.Layer, patches: bool) -> "_Sums":
    """Sums for a layer, whose linear part makes the outputs or the patches."""
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype("float64")
    plain = {"use_bias": False, "dtype": "float32", "name": "linear"}
    if isinstance(layer, keras.layers.Dense):
        return _Sums(layer, kernel, keras.layers.Dense(kernel.shape[-1], **plain), kernel)
    whole = patches and prod(layer.kernel_size) > 1
    names = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")
    settings = {name: getattr(layer, name) for name in names} | plain
    size = prod(kernel.shape[:-1])
    applied = np.eye(size).reshape(*kernel.shape[:-1], size) if whole else kernel
    linear = type(layer)(filters=applied.shape[-1], **settings)
    return _Sums(layer, kernel, linear, applied, whole)


@dataclass(eq=False)
class _Sums:
    """Sums over the places of all examples.

    Args:
        layer: which layer.
        kernel: its kernel.
        linear: a layer of its kind that is linear.
        applied: the kernel of that: the layer's, or one that hands on the patches.
        whole: whether it hands on the patches.
    """

    layer: Any
    kernel: np.ndarray
    linear: Any
    applied: np.ndarray
    whole: bool = False
    count: int = 0
    total: Any = 0.0
    squares: Any = 0.0

    def add(self, value: Any) -> None:
        """Adds what the layer reads, or what comes of it before bias and activation."""
        if not self.linear.built:
            self.linear.build(value.shape)
            self.linear.kernel.assign(self.applied)
        size = prod(self.linear.compute_output_shape(value.shape)[1:])
        places = len(value) * size // self.applied.shape[-1]
        every = max(-(-places // _MOST_ROWS), 1) if self.whole else 1
        step = max(_AT_ONCE // size, 1)
        for start in range(0, len(value), step):
            self._add(self.linear(value[start : start + step]), every)

    def _add(self, made: Any, every: int) -> None:
        rows = keras.ops.convert_to_numpy(made)
        if getattr(self.layer, "data_format", "") == "channels_first":
            rows = np.moveaxis(rows, 1, -1)
        rows = rows.reshape(-1, rows.shape[-1])
        if every > 1:
            # At even distances they would be of a few columns of the images only.
            chosen = np.random.default_rng(self.count)
            rows = rows[chosen.choice(len(rows), max(len(rows) // every, 1), replace=False)]
        rows = rows.astype("float64")
        check_finite(self.layer.name, rows)
        self.count += len(rows)
        self.total = self.total + rows.sum(axis=0)
        self.squares = self.squares + rows.T @ rows

    def moments(self) -> Moments:
        """The means."""
        if not self.count:
            raise no_example()
        mean, squares = self.total / self.count, self.squares / self.count
        if self.layer.use_bias:
            squares = squares - np.outer(mean, mean)
        else:
            mean = np.zeros_like(mean)
        if not self.whole:
            return Moments(mean, squares)
        kernel = self.kernel.reshape(len(mean), -1)
        return Moments(mean @ kernel, kernel.T @ squares @ kernel, squares, mean)
