"""A user's own layer class, declared: one row in the table of the graph, one in that of surgery."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_snare.arguments import is_whole
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import CallView
from keras_snare.graph.rules import RULES
from keras_snare.surgery.attributes import ATTRIBUTES, Resized

_DECLARED: dict[type, dict[str, Any]] = {}


def register_layer(
    layer_class: type,
    *,
    reads: Mapping[str, int] | None = None,
    makes: Mapping[str, int] | None = None,
    keeps: Mapping[str, int] | None = None,
    width: str | None = None,
    axis: int = -1,
) -> None:
    """Declares how channels pass through a layer class of your own, so that it can be cut.

    A layer either makes new channels (give `makes`, and `reads` for the weights that read its
    input), as `Dense` does, or hands on those of its input (give neither), as an activation does.
    What is handed on is computed channel by channel: an output channel depends on the input channel
    of the same number alone. Weights are named by the attributes that hold them; one that is None
    is passed over.

    Args:
        layer_class: a subclass of `keras.layers.Layer` with one input and one output. Subclasses of
            it are not included: they may compute something else.
        reads: weight to the axis of it that runs along the input's channels.
        makes: weight to the axis of it that runs along the channels that the layer makes.
        keeps: for a layer that hands channels on, weight to the axis of it that runs along them.
        width: name of the attribute, and of the constructor's argument, that states how many
            channels the layer makes.
        axis: int, axis of the channels in input and output. Channels along any other axis are kept
            whole.

    Raises:
        TypeError: when an argument is of another kind than stated.
        ValueError: when the declaration contradicts itself.

    Example:

    >>> class Scaled(keras.layers.Layer):
    ...     def __init__(self, units, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.units = units
    ...     def build(self, input_shape):
    ...         self.kernel = self.add_weight(shape=(input_shape[-1], self.units))
    ...         self.scale = self.add_weight(shape=(self.units,))
    ...     def call(self, inputs):
    ...         return keras.ops.matmul(inputs, self.kernel) * self.scale
    >>> keras_snare.register_layer(Scaled, reads={"kernel": 0}, makes={"kernel": 1, "scale": 0},
    ...                            width="units")
    """
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
        raise TypeError(
            f"Expected a class of Keras layers. Received: {layer_class!r}. Give the class itself, "
            "not a layer of it."
        )
    for name, declared in (("reads", reads), ("makes", makes), ("keeps", keeps)):
        _check_mapping(name, declared)
    if width is not None and (not isinstance(width, str) or not width):
        raise TypeError(f"`width` is the name of an attribute, or None. Received: width={width!r}")
    if not is_whole(axis) or axis == 0:
        raise TypeError(
            "`axis` is an integer, the axis of the channels, and not 0, that of the examples. "
            f"Received: axis={axis!r}"
        )
    if makes and keeps:
        raise ValueError(
            "A layer makes channels of its own or hands on those of its input. Received both: "
            f"makes={dict(makes)}, keeps={dict(keeps)}."
        )
    if (reads or width) and not makes:
        raise ValueError(
            "`reads` and `width` belong to a layer that makes channels. Received: "
            f"reads={reads}, width={width!r}, makes={makes}. Say with `makes` what holds them."
        )
    declaration = _Declaration(reads or {}, makes or {}, keeps or {}, width, axis)
    RULES[layer_class] = declaration.rule
    names = ("input_spec", *([width] if width else []))
    ATTRIBUTES[layer_class] = (names, declaration.attributes)
    told = {"reads": reads, "makes": makes, "keeps": keeps}
    parts = {name: None if one is None else dict(one) for name, one in told.items()}
    _DECLARED[layer_class] = {**parts, "width": width, "axis": axis}


def declared_layers() -> dict[type, dict[str, Any]]:
    """Returns the classes that `register_layer` was told of, and the arguments, to tell others."""
    return dict(_DECLARED)


def _check_mapping(name: str, declared: Any) -> None:
    if declared is None:
        return
    known = isinstance(declared, Mapping) and all(
        isinstance(weight, str) and is_whole(axis) for weight, axis in declared.items()
    )
    if not known:
        raise TypeError(
            f"`{name}` is a mapping from the names of attributes that hold weights to an axis of "
            f"each, such as {{'kernel': 0}}. Received: {name}={declared!r}"
        )


def _has(weight, axis: int, width: int) -> bool:
    shape = getattr(weight, "shape", ())
    return -len(shape) <= axis < len(shape) and shape[axis] == width


class _Declaration:
    """What `register_layer` was told of one class."""

    def __init__(self, reads, makes, keeps, width: str | None, axis: int) -> None:
        self.reads, self.makes, self.keeps = reads, makes, keeps
        self.width, self.axis = width, axis

    def rule(self, view: CallView) -> list:
        self._check(view)
        axis = view.axis(self.axis)
        view.freeze_other_axes((axis,), "is declared for channels along another axis")
        if not self.makes:
            labels = view.inputs[0].get(axis)
            for weight, at in self._held(view, self.keeps):
                view.bind(weight, at, labels)
            return [{} if labels is None else {axis: labels}]
        for weight, at in self._held(view, self.reads):
            view.read(weight, at, axis)
        if not self.reads:
            view.freeze_other_axes((), "reads it with weights that are not declared")
        place = self.axis % len(view.output_shapes[0])
        made = view.produce(view.output_shapes[0][place], *self._held(view, self.makes))
        return [{place: made}]

    def _check(self, view: CallView) -> None:
        """Compares what was declared with the layer."""
        layer, place = view.layer, self.axis % len(view.output_shapes[0])
        taken, made = view.input_shapes[0][view.axis(self.axis)], view.output_shapes[0][place]
        wrong = (
            [] if self.width is None or getattr(layer, self.width, None) == made else [self.width]
        )
        ranks = {len(view.input_shapes[0]), len(view.output_shapes[0])}
        if not all(-rank < self.axis < rank for rank in ranks):
            wrong.append("axis")
        widths = ((self.reads, taken), (self.makes, made), (self.keeps, taken))
        for declared, width in widths:
            for name, axis in declared.items():
                weight = getattr(layer, name, layer)
                if weight is not None and not _has(weight, axis, width):
                    wrong.append(name)
        if wrong:
            raise UnsupportedModelError(
                f"Layer {view.name!r} is not as register_layer was told of {type(layer).__name__}: "
                f"see {', '.join(map(repr, wrong))}. Its input has the shape "
                f"{view.input_shapes[0]}, its output {view.output_shapes[0]}."
            )

    def _held(self, view: CallView, declared: Mapping[str, int]) -> list[tuple[Any, int]]:
        weights = [(getattr(view.layer, name), axis) for name, axis in declared.items()]
        return [(weight, axis) for weight, axis in weights if weight is not None]

    def attributes(self, resized: Resized) -> dict[str, Any]:
        """The attribute that states the width, and what the layer demands of its input."""
        changed: dict[str, Any] = {} if self.width is None else {self.width: resized.units()}
        shape, spec = resized.input_shapes[0], resized.layer.input_spec
        if isinstance(spec, (list, tuple)):
            changed["input_spec"] = [_restated(one, shape) for one in spec]
        elif spec is not None:
            changed["input_spec"] = _restated(spec, shape)
        return changed


def _restated(spec, shape: tuple):
    """A specification of the input, for its shape now."""
    stated = spec.get_config()
    stated["axes"] = {axis: shape[axis] for axis in spec.axes or {}}
    if spec.shape is not None:
        known = zip(spec.shape, shape, strict=True)
        stated["shape"] = tuple(None if size is None else now for size, now in known)
        stated["ndim"] = None
    return keras.layers.InputSpec(**stated)
