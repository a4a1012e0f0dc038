"""What a layer's rule sees of one call, and what it may say about it."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import keras
import numpy as np

from keras_snare.graph.calls import Call
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
        layer: the layer whose call the axis takes part in.
        name: str, name of that call.
        source: key of the tensor that a reader reads, or None.
        source_axis: axis of that tensor which the labels follow.
    """

    variable: Any
    axis: int
    labels: Labels
    role: str
    layer: Any
    name: str
    source: int | None = None
    source_axis: int | None = None


@dataclass(frozen=True, eq=False)
class Work:
    """Floating-point operations: `count` for every combination of channels of its `factors`."""

    layer: str
    count: int
    factors: tuple[Labels, ...] = ()


@dataclass(frozen=True, eq=False)
class Sized:
    """A layer and the tensors that it is called on, whose shapes it may have noted.

    Args:
        layer: the layer, or another operation.
        inputs, outputs: shape (batch axis first) and labels by axis of each tensor.
        units: labels of what the layer makes, by kind.
        call: the call in the trace, or None where a wrapper makes it.
    """

    layer: Any
    inputs: tuple[tuple[tuple, AxisLabels], ...]
    outputs: tuple[tuple[tuple, AxisLabels], ...]
    units: dict[str, Labels]
    call: Call | None

    def named_inputs(self) -> dict[str, int]:
        """For each argument of the call that is one tensor, the number of that input."""
        if self.call is None:
            return {}
        given = self.call.arguments.keras_tensors
        at = {id(tensor): place for place, tensor in reversed(list(enumerate(given)))}
        arguments = self.call.named_arguments()
        return {name: at[id(value)] for name, value in arguments.items() if id(value) in at}


@dataclass(eq=False)
class CallView:
    """One call of a layer, as its rule sees it.

    Args:
        layer: the layer, or another operation.
        name: str, name of the call.
        keys: tensor keys of the inputs.
        input_shapes, output_shapes: with the batch axis first.
        inputs: labels by axis, one mapping per input.
        space: issues and joins labels.
        call: the call in the trace, for its arguments.
        outer: where this is a call that a wrapper makes, that of the wrapper.
        recorded: whether the model runs the call as it stands in the graph.
        shift: what an axis here lies behind in the wrapper's tensors.
    """

    layer: Any
    name: str
    keys: tuple[int, ...]
    input_shapes: tuple[tuple, ...]
    output_shapes: tuple[tuple, ...]
    inputs: tuple[AxisLabels, ...]
    space: ChannelSpace
    call: Call | None = None
    outer: Any = None
    shift: int = 0
    recorded: bool = True
    bindings: list[Binding] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)
    stated: list[tuple[tuple[int, int], Labels]] = field(default_factory=list)
    fixed_axes: set[tuple[int, int]] = field(default_factory=set)
    sized: list[Sized] = field(default_factory=list)
    units: dict[str, Labels] = field(default_factory=dict)
    contracted: list[Labels] = field(default_factory=list)

    def arguments(self) -> dict[str, Any]:
        """The arguments of the call by name; only for calls that stand in the graph."""
        assert self.call is not None, "a wrapper's calls are not recorded"
        return self.call.named_arguments()

    def place(self, tensor) -> int:
        """The number of the input that a symbolic tensor among the arguments is."""
        assert self.call is not None, "a wrapper's calls are not recorded"
        return self.keys.index(self.call.keys[id(tensor)])

    @property
    def outermost(self) -> "CallView":
        """The call that stands in the graph: this one, or that of the outermost wrapper."""
        return self if self.outer is None else self.outer.outermost

    def inner(
        self, layer: keras.layers.Layer, inputs, input_shapes, output_shapes, name=None, shift=0
    ) -> "CallView":
        """Returns the view of a call that this layer, a wrapper, makes of another layer.

        What the inner rule finds goes to this call. `done` has to be called with its result.

        Args:
            layer: the inner layer.
            inputs: labels by axis, one mapping per input.
            input_shapes: of its inputs, with the batch axis first.
            output_shapes: of its outputs.
            name: str, or None where the units of the inner layer are known by the wrapper's name.
            shift: int, what has to be added to an axis of the inner input, other than the batch
                axis, to find it in the wrapper's input.
        """
        return CallView(
            layer,
            self.name if name is None else f"{self.name}/{name}",
            self.keys[: len(inputs)],
            tuple(input_shapes),
            tuple(output_shapes),
            tuple(inputs),
            self.space,
            outer=self,
            shift=shift + self.shift,
            bindings=self.bindings,
            work=self.work,
            stated=self.stated,
            fixed_axes=self.fixed_axes,
            sized=self.sized,
        )

    def done(self, outputs: list[AxisLabels]) -> list[AxisLabels]:
        """Notes the shapes that the layer saw; returns the labels that its rule found."""
        self.sized.append(
            Sized(
                self.layer,
                tuple(zip(self.input_shapes, self.inputs, strict=True)),
                tuple(zip(self.output_shapes, outputs, strict=True)),
                self.units,
                self.call,
            )
        )
        return outputs

    def axis(self, axis: int) -> int:
        """Returns an axis of the first input counted from the front."""
        return axis % len(self.input_shapes[0])

    def positions(self, shape: tuple, *without: int) -> int:
        """Number of positions per example, unknown sizes as one, without the given axes."""
        return prod(
            size or 1 for axis, size in enumerate(shape) if axis > 0 and axis not in without
        )

    def produce(self, width: int, *variables: tuple[Any, int], kind: str = "") -> Labels:
        """Issues labels for the units that the layer makes.

        Args:
            width: int, number of units.
            *variables: each variable that holds one slice per unit (None is passed over), and the
                axis of the slices.
            kind: str, tells apart the units of a layer that makes several kinds; they are known as
                `"layer:kind"`.
        """
        owner = f"{self.name}:{kind}" if kind else self.name
        labels = self.space.new(width, owner, self.outermost.layer)
        self.units[kind] = labels
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
                    self.outermost.layer,
                    self.name,
                    self.keys[source],
                    source_axis + self.shift,
                )
            )
        return labels

    def bind(self, variable, axis: int, labels: Labels | None, role: str = THROUGH) -> None:
        """Says that an axis of a variable holds one position per label."""
        if labels is None:
            self.fixed_axes.add(axis_key(variable, axis))
        else:
            self.bindings.append(
                Binding(variable, axis, labels, role, self.outermost.layer, self.name)
            )

    def state(self, axis: int, labels: Labels | None) -> None:
        """Says that an attribute of the layer states the width of an axis, for all of its calls."""
        if labels is not None and not (self.recorded or isinstance(self.layer, keras.Layer)):
            self.space.freeze(labels, f"{self.name} states its width in the model's code")
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
        self.work.append(Work(self.outermost.name, operations * plain, labels))

    def count_elements(self, axes: AxisLabels, shape: tuple, operations: int = 1) -> None:
        """Adds so many operations for every element of a tensor."""
        self.count(operations * self.positions(shape, *axes), *axes.values())


def axis_key(variable, axis: int) -> tuple[int, int]:
    """Identifies an axis of a variable, counted from the front."""
    return id(variable), axis % len(variable.shape)
