"""What data show of the inputs and outputs of layers."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import keras
import numpy as np

from keras_snare.criteria import batches, flat_inputs
from keras_snare.criteria.batches import no_example
from keras_snare.factorize.factors import Moments
from keras_snare.graph import Trace


def moments(graph: Trace, layers: list[Any], data: Any, batch_size: int) -> dict[int, Moments]:
    """Returns what the layers read and compute on data, by id of the layer.

    Args:
        graph: of the model.
        layers: dense layers and convolutions.
        data: what `check_data` lets pass.
        batch_size: int, for arrays.

    Raises:
        ValueError: when there is no example, or the model does not take them.
    """
    sums = {id(layer): _Sums(layer) for layer in layers}

    def read(call, key, value):
        if id(call.operation) in sums:
            sums[id(call.operation)].add(value)
        return value

    for x, _ in batches(data, batch_size):
        graph.run(flat_inputs(graph, x), read)
    return {at: one.moments() for at, one in sums.items()}


@dataclass(eq=False)
class _Sums:
    """Sums over all positions of all examples."""

    layer: Any
    count: int = 0
    positions: int = 0
    channels: Any = 0.0
    total: Any = 0.0
    squares: Any = 0.0
    has_taps: bool = field(init=False)
    linear: Any = field(init=False)

    def __post_init__(self):
        # Else nothing is asked of the channels, of which a dense layer may have very many.
        self.has_taps = prod(getattr(self.layer, "kernel_size", ())) > 1
        plain = {"activation": None, "use_bias": False, "dtype": "float32", "name": "linear"}
        self.linear = type(self.layer).from_config({**self.layer.get_config(), **plain})

    def add(self, value: Any) -> None:
        """Adds what the layer reads, and what comes of it before bias and activation."""
        if not self.linear.built:
            self.linear.build(value.shape)
            self.linear.kernel.assign(self.layer.kernel)
        made = self._rows(self.linear(value))
        if self.has_taps:
            read = self._rows(value)
            self.channels = self.channels + read.T @ read
            self.positions += len(read)
        self.count += len(made)
        self.total = self.total + made.sum(axis=0)
        self.squares = self.squares + made.T @ made

    def moments(self) -> Moments:
        """The means."""
        if not self.count:
            raise no_example()
        mean, squares = self.total / self.count, self.squares / self.count
        channels = self.channels / self.positions if self.has_taps else None
        if not self.layer.use_bias:
            return Moments(channels, np.zeros_like(mean), squares)
        return Moments(channels, mean, squares - np.outer(mean, mean))

    def _rows(self, value: Any) -> np.ndarray:
        found = keras.ops.convert_to_numpy(value).astype("float64")
        if getattr(self.layer, "data_format", "") == "channels_first":
            found = np.moveaxis(found, 1, -1)
        return found.reshape(-1, found.shape[-1])
