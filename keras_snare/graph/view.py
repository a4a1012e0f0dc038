"""What a layer's rule sees of one call, and what it may say about it."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from keras_snare.graph.channels import AxisLabels, ChannelSpace, Labels

PRODUCER, READER, THROUGH = "producer", "reader", "through"


@dataclass(frozen=True, eq=False)
class Binding:
    """One axis of one variable whose positions belong to channels.

    Args:
        variable: the Keras variable.
        axis: int, axis of the variable.
        labels: array, one label per position of that axis.
        role: `"producer"` (the weights that make the units), `"reader"` (the weights that read
            them) or `"through"` (weights that accompany them, such as a normalisation's).
        layer: the layer that owns the variable.
        source: key of the tensor that a reader reads, or None.
        source_axis: axis of that tensor which the labels follow.
    """

    variable: Any
    axis: int
    labels: Labels
    role: str
    layer: Any
    source: int | None = None
    source_axis: int | None = None


@dataclass(frozen=True, eq=False)
class Work:
    """Floating-point operations: `count` for every combination of channels of its `factors`."""

    layer: str
    count: int
    factors: tuple[Labels, ...] = ()


@dataclass(eq=False)
class CallView:
    """One call of a layer, as its rule sees it.

    Args:
        layer: the layer.
        keys: tensor keys of the inputs.
        input_shapes, output_shapes: with the batch axis first.
        inputs: labels by axis, one mapping per input.
        space: issues and joins labels.
    """

    layer: Any
    keys: tuple[int, ...]
    input_shapes: tuple[tuple, ...]
    output_shapes: tuple[tuple, ...]
    inputs: tuple[AxisLabels, ...]
    space: ChannelSpace
    bindings: list[Binding] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)
    stated: list[tuple[tuple[int, int], Labels]] = field(default_factory=list)
    fixed_axes: set[tuple[int, int]] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.layer.name

    def axis(self, axis: int) -> int:
        """Returns an axis of the first input counted from the front."""
        return axis % len(self.input_shapes[0])

    def positions(self, shape: tuple, *without: int) -> int:
        """Number of positions per example, unknown sizes as one, without the given axes."""
        return prod(
            size or 1 for axis, size in enumerate(shape) if axis > 0 and axis not in without
        )

    def produce(self, width: int, *variables: tuple[Any, int]) -> Labels:
        """Issues labels for the units that the layer makes.

        Args:
            width: int, number of units.
            *variables: each variable that holds one slice per unit (None is passed over), and the
                axis of the slices.
        """
        labels = self.space.new(width, self.name)
        for variable, axis in variables:
            if variable is not None:
                self.bind(variable, axis, labels, PRODUCER)
        return labels

    def read(self, variable, axis: int, source_axis: int, source: int = 0) -> Labels | None:
        """Says that an axis of a variable reads the channels of an input's axis."""
        labels = self.inputs[source].get(source_axis)
        if labels is None:
            self.fixed_axes.add(axis_key(variable, axis))
        else:
            self.bindings.append(
                Binding(
                    variable,
                    axis,
                    labels,
                    READER,
                    self.layer,
                    self.keys[source],
                    source_axis,
                )
            )
        return labels

    def bind(self, variable, axis: int, labels: Labels | None, role: str = THROUGH) -> None:
        """Says that an axis of a variable holds one position per label."""
        if labels is None:
            self.fixed_axes.add(axis_key(variable, axis))
        else:
            self.bindings.append(Binding(variable, axis, labels, role, self.layer))

    def state(self, axis: int, labels: Labels | None) -> None:
        """Says that an attribute of the layer states the width of an axis, for all of its calls."""
        if labels is None:
            self.fixed_axes.add((id(self.layer), axis))
        else:
            self.stated.append(((id(self.layer), axis), labels))

    def freeze_other_axes(self, keep: tuple[int, ...], reason: str) -> None:
        """Freezes every labelled axis of every input but the given ones."""
        for axes in self.inputs:
            for axis, labels in axes.items():
                if axis not in keep:
                    self.space.freeze(labels, f"{self.name} {reason}")

    def count(self, operations: int, *factors: Labels | int | None) -> None:
        """Adds floating-point operations, a plain number or None of labels standing for itself."""
        labels = tuple(factor for factor in factors if isinstance(factor, np.ndarray))
        plain = prod(factor for factor in factors if isinstance(factor, int))
        self.work.append(Work(self.name, operations * plain, labels))

    def count_elements(self, axes: AxisLabels, shape: tuple, operations: int = 1) -> None:
        """Adds so many operations for every element of a tensor."""
        self.count(operations * self.positions(shape, *axes), *axes.values())


def axis_key(variable, axis: int) -> tuple[int, int]:
    """Identifies an axis of a variable, counted from the front."""
    return id(variable), axis % len(variable.shape)
