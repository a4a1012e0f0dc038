"""The layers that read removed units, and how they are fitted to those that are left."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import PRODUCER, READER, Binding, ChannelGroups
from keras_snare.surgery.biases import constant_holder, needed_holder
from keras_snare.surgery.least_squares import NormalEquations, RowMeans
from keras_snare.surgery.unfolding import UNFOLDED, kernel_matrix, unfolded

MEAN, LEAST_SQUARES = "mean", "least_squares"


@dataclass(eq=False)
class Reader:
    """A layer that reads units which go.

    Args:
        binding: its kernel.
        stay: which of its own units stay.
        holder: where it keeps a constant: a variable and its sign, or None.
        kind: what it is to be given.
        targets: by key of the tensor that it reads, what it computed of each batch, but for its
            bias.
    """

    binding: Binding
    stay: np.ndarray
    holder: tuple[Any, int] | None
    kind: str
    targets: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def listen(self, source: int, value: Any) -> None:
        """Keeps what the layer of the whole model computes of a batch."""
        kernel = kernel_matrix(self.binding.variable)[:, self.stay]
        parts = [(rows @ kernel).astype("float32") for rows in unfolded(self.binding.layer, value)]
        self.targets.setdefault(source, []).append(np.concatenate(parts))

    @cached_property
    def _kernel(self) -> np.ndarray:
        """What the cut left of the kernel."""
        return kernel_matrix(self.binding.variable)

    @cached_property
    def _constant(self) -> np.ndarray:
        """What the cut left of the constant."""
        return np.array(keras.ops.convert_to_numpy(self.holder[0]) if self.holder else 0.0)

    @cached_property
    def _rows(self) -> RowMeans | NormalEquations:
        if self.kind == MEAN:
            return RowMeans(*self._kernel.shape)
        return NormalEquations(*self._kernel.shape, constant=self.holder is not None)

    def meet(self, source: int, values: Iterable[Any]) -> None:
        """Takes in what the layer of the narrow model reads in the place of `source`."""
        for value, targets in zip(values, self.targets.pop(source), strict=True):
            start = 0
            for rows in unfolded(self.binding.layer, value):
                end = start + len(rows)
                self._rows.add(rows, targets[start:end].astype("float64"))
                start = end

    def fit(self) -> None:
        """Changes the layer so that it computes what it did, as well as it can be had.

        Raises:
            ValueError: when what it reads or computed is not finite.
        """
        rows, kernel = self._rows, self._kernel
        means = rows if isinstance(rows, RowMeans) else rows.means
        if not (np.isfinite(means.inputs).all() and np.isfinite(means.targets).all()):
            raise ValueError(
                f"compensate={self.kind!r} needs finite numbers. Received: data of which "
                f"{self.binding.name!r} makes NaN or infinity. Check the data and the weights."
            )
        if isinstance(rows, NormalEquations):
            kernel = rows.weights(kernel)
            self.binding.variable.assign(kernel.reshape(self.binding.variable.shape))
        if self.holder is not None:
            variable, sign = self.holder
            variable.assign(self._constant + sign * means.constant(kernel))


def readers_of(groups: ChannelGroups, removed: np.ndarray, kind: str) -> dict[int, Reader]:
    """The layers that read channels which go, by id."""
    found: dict[int, Reader] = {}
    unread = set(removed.tolist())
    made = {
        id(one.variable): groups.kept(one.labels, removed)
        for one in groups.bindings
        if one.role == PRODUCER
    }
    for one in groups.bindings:
        if one.role != READER or groups.kept(one.labels, removed).all():
            continue
        if type(one.layer) not in UNFOLDED:
            raise UnsupportedModelError(
                f"compensate={kind!r} fits Dense and convolution layers to the units that are "
                f"left. Received: {one.name!r} ({type(one.layer).__name__}), which reads units "
                "that go. Leave compensate out, or the layers that it reads."
            )
        unread.difference_update(groups.roots[one.labels].tolist())
        if id(one.layer) not in found:
            holder = (
                needed_holder(groups, one, f"compensate={kind!r}")
                if kind == MEAN
                else constant_holder(groups, one)
            )
            found[id(one.layer)] = Reader(one, made[id(one.variable)], holder, kind)
    if unread:
        name = next(group.name for group in groups if unread & set(group.roots.tolist()))
        raise UnsupportedModelError(
            f"compensate={kind!r} fits the layers that read the units which go. Received: units of "
            f"{name!r} that no layer's weights read. Leave compensate out, or that layer."
        )
    return found
