"""What layers of the model compute, taught by layers of the teacher."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_snare.distillation.projections import Projection
from keras_snare.distillation.taps import OutputTaps
from keras_snare.distillation.teachers import same_shapes
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Trace, trace
from keras_snare.surgery import follow_cuts, leave_cuts


def layer_pairs(features: Any) -> list[tuple[str, str]]:
    """Returns pairs of a layer of the model and one of the teacher.

    Raises:
        ValueError: when they are not given as such.
    """
    if features is None:
        return []
    pairs = list(features.items() if isinstance(features, Mapping) else features)
    wrong = [
        pair
        for pair in pairs
        if not isinstance(pair, (tuple, list))
        or len(pair) != 2
        or not all(isinstance(name, str) for name in pair)
    ]
    if wrong or not pairs or isinstance(features, str):
        raise ValueError(
            "`features` names layers of the model and of the teacher: {'relu1': 'relu1'} or "
            f"[('relu1', 'relu1')]. Received: features={features!r}"
        )
    return [(one, other) for one, other in pairs]


class FeatureLesson:
    """The error of a model's features, brought to the teacher's width, by pairs of layers.

    The squared error is divided by the mean square of the teacher's feature in the batch, so that
    the weights mean the same for every layer: 0 is a perfect copy, 1 no better than zeros.

    Args:
        model: the model in training.
        teacher: the model that teaches.
        pairs: names of a layer of the one and a layer of the other.
        weights: float per pair.
        learned: bool, whether the projections learn with the model.
        seed: int, for projections that begin with a random matrix.

    Raises:
        ValueError: when a layer is not there, or a pair does not match.
        UnsupportedModelError: when no graph of a model is to be had.
    """

    def __init__(
        self,
        model: keras.Model,
        teacher,
        pairs: Sequence[tuple[str, str]],
        weights: Sequence[float],
        learned: bool,
        seed: int,
    ) -> None:
        self.model = model
        self.weights = weights
        own = _found(model, [name for name, _ in pairs])
        other = _found(teacher, [name for _, name in pairs])
        for one, its in zip(own, other, strict=True):
            if not one.width or not its.width or not same_shapes([one.places], [its.places]):
                raise ValueError(
                    f"The feature of layer {one.name!r} has the shape {one.shape}, that of the "
                    f"teacher's {its.name!r} {its.shape}. Only the last axis, that of the channels,"
                    " may differ. Choose layers that see the same positions."
                )
        self.taps = OutputTaps([one.layer for one in own])
        self.teacher_taps = OutputTaps([one.layer for one in other])
        self.projections = [
            Projection(model, one.layer, (one.width, its.width), learned, seed + at)
            for at, (one, its) in enumerate(zip(own, other, strict=True))
        ]

    def attach(self) -> None:
        """Begins to listen to the layers, and to follow cuts."""
        self.taps.attach()
        self.teacher_taps.attach()
        for projection in self.projections:
            projection.build()
            follow_cuts(self.model, projection)

    def detach(self) -> None:
        """Leaves both models as they were."""
        self.teacher_taps.detach()
        self.taps.detach()
        for projection in self.projections:
            leave_cuts(self.model, projection)

    def error(self, taught: dict[int, Any], found: dict[int, Any], weight: Any) -> Any:
        """The weighted sum of the pairs' errors.

        Args:
            taught: the teacher's features by number of the pair.
            found: the model's.
            weight: of each example, or None.
        """
        total = 0.0
        for at, (projection, factor) in enumerate(zip(self.projections, self.weights, strict=True)):
            theirs, ours = self._pair(at, taught, found)
            total = total + factor * projection.error(ours, *_scaled(theirs), weight)
        return total

    def _pair(self, at: int, taught: dict[int, Any], found: dict[int, Any]) -> list[Any]:
        both = []
        for taps, outputs in ((self.teacher_taps, taught), (self.taps, found)):
            if at not in outputs:
                raise UnsupportedModelError(
                    f"Layer {taps.layers[at].name!r} of `features` does not run where its model "
                    "does, or not by its `call`, as quantized layers do not. Choose another layer."
                )
            both.append(ops.cast(outputs[at], keras.config.floatx()))
        shapes = [tuple(one.shape) for one in both]
        if not same_shapes([shapes[0][1:-1]], [shapes[1][1:-1]]):
            raise ValueError(
                f"The features of layer {self.taps.layers[at].name!r} have the shape {shapes[1]}, "
                f"those that teach it {shapes[0]}. Only the last axis, that of the channels, may "
                "differ. Choose layers that see the same positions."
            )
        return both


def _scaled(taught: Any) -> tuple[Any, Any]:
    """Features divided by their size in the batch, and that size."""
    # Of each example by itself, it would be next to nothing where the units say nothing.
    size = ops.sqrt(ops.mean(ops.square(taught)))
    size = ops.where(size > keras.config.epsilon(), size, ops.ones_like(size))
    return taught / size, size


def _found(model: keras.Model, names: list[str]) -> list["_Found"]:
    graph = trace(model) if names else None
    return [] if graph is None else [_Found(graph, model, name) for name in names]


class _Found:
    """A layer and the shape of what it returns."""

    def __init__(self, graph: Trace, model: keras.Model, name: str) -> None:
        self.name = name
        calls = [call for call in (*graph.calls, *graph.nested) if call.name == name]
        if len(calls) != 1 or len(calls[0].outputs) != 1:
            known = dict.fromkeys(
                call.name for call in graph.calls if isinstance(call.operation, keras.Layer)
            )
            raise ValueError(
                f"`features` names a layer of {model.name!r} that is called once and returns one "
                f"tensor. Received: {name!r}, called {len(calls)} times. There are: "
                f"{', '.join(known)}."
            )
        self.layer = calls[0].operation
        self.shape = graph.shape(calls[0].outputs[0])

    @property
    def width(self) -> int:
        """The number of channels."""
        return int(self.shape[-1] or 0)

    @property
    def places(self) -> tuple:
        """The axes between the batch and the channels."""
        return self.shape[1:-1]
