"""Layers made of layers: their code runs on symbolic inputs, so that the calls in it are seen."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

Shape = tuple[int | None, ...]
# Code that asks for a size that is not known cannot run without one. As Keras does on JAX, it then
# runs twice; what differs in both is what is not known. First for the batch axis, then for others.
_STAND_INS = ((3, 13), (5, 17))


@dataclass(frozen=True)
class Place:
    """Where a call stands.

    Args:
        recorded: whether the model runs this very call; otherwise it was read of code.
        within: the number of the layer that was laid open and runs the call, or None.
    """

    recorded: bool = True
    within: int | None = None


class _Reads(keras.StatelessScope):
    """Lets no variable change, and notes those whose value is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[int] = set()

    def get_current_value(self, variable):
        self.read.add(id(variable))
        return super().get_current_value(variable)


@dataclass(frozen=True, eq=False)
class Opened:
    """The graph of one call of a layer.

    Args:
        nodes: the calls that it makes, each after those whose results it reads.
        inputs: id of each symbolic tensor among the call's arguments to the one of the graph.
        outputs: what it returns, flat.
        read: ids of the variables that the code reads itself, not by calling their layer.
        shapes: id of a symbolic tensor to its shape, where sizes stand in for unknown ones.
    """

    nodes: list[Any]
    inputs: dict[int, Any]
    outputs: list[Any]
    read: set[int]
    shapes: dict[int, Shape] = field(default_factory=dict)


Nodes = Callable[[list[Any], list[Any]], list[Any]]


def open_call(
    layer: keras.layers.Layer,
    parts: Iterable[Any],
    arguments,
    shapes: dict[int, Shape],
    nodes: Nodes,
) -> Opened:
    """Makes a layer's call on symbolic tensors of its own.

    Args:
        layer: the layer.
        parts: the layers that it is made of.
        arguments: Keras's record of the call.
        shapes: id of each symbolic tensor among the arguments to its shape.
        nodes: finds the calls between inputs and outputs.

    Raises:
        Exception: whatever the layer's code raises.
    """
    with ExitStack() as stack:
        for part in parts:
            if _rejects_arguments(part):
                stack.enter_context(replaced(part, "compute_output_spec", _without_nones(part)))
        try:
            return _called(layer, arguments, shapes, nodes)
        except Exception:  # Code of a layer may fail in any way.
            if all(None not in shape for shape in shapes.values()):
                raise
        ones = [_called(layer, arguments, shapes, nodes, sizes) for sizes in _STAND_INS]
    found = [[tensor for node in one.nodes for tensor in node.outputs] for one in ones]
    if [len(one.shape) for one in found[0]] != [len(one.shape) for one in found[1]]:
        raise ValueError("it depends on sizes that are not known")
    for one, other in zip(*found, strict=True):
        sizes = zip(one.shape, other.shape, strict=True)
        ones[0].shapes[id(one)] = tuple(size if size == also else None for size, also in sizes)
    return ones[0]


def _called(
    layer: keras.layers.Layer,
    arguments,
    shapes: dict[int, Shape],
    nodes: Nodes,
    stand_ins=(None, None),
) -> Opened:
    own = {
        id(tensor): keras.KerasTensor(_filled(shapes[id(tensor)], *stand_ins), tensor.dtype)
        for tensor in arguments.keras_tensors
    }
    args, kwargs = arguments.fill_in(own)
    with _Reads() as reads:
        outputs = keras.tree.flatten(layer.call(*args, **kwargs))
    return Opened(nodes(list(own.values()), outputs), own, outputs, reads.read)


def _filled(shape: Shape, first: int | None, other: int | None) -> Shape:
    return tuple(
        (other if axis else first) if size is None else size for axis, size in enumerate(shape)
    )


def _rejects_arguments(layer: keras.layers.Layer) -> bool:
    """Tells whether a layer adds arguments to the `call` of its parent, which knows the shapes."""
    known = inspect.signature(layer.compute_output_spec).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        return False
    return not set(inspect.signature(layer.call).parameters) <= known.keys()


def _without_nones(layer: keras.layers.Layer) -> Callable:
    """`compute_output_spec` for arguments that it may not know, as long as they are None."""
    known = inspect.signature(layer.compute_output_spec).parameters
    compute = layer.compute_output_spec

    def of_known(*args: Any, **kwargs: Any):
        return compute(
            *args,
            **{name: one for name, one in kwargs.items() if name in known or one is not None},
        )

    return of_known


def calling(layer: keras.layers.Layer, before: Callable[[tuple, dict], tuple[tuple, dict]]):
    """Has `before` change what is passed to a layer's `call`, for a while."""
    call = layer.call

    def changed(*args: Any, **kwargs: Any):
        args, kwargs = before(args, kwargs)
        return call(*args, **kwargs)

    return replaced(layer, "call", changed)


@contextmanager
def replaced(layer: keras.layers.Layer, name: str, method: Any) -> Iterator[None]:
    """Has another method, or attribute, stand in the place of a layer's for a while."""
    own = {one: value for one, value in vars(layer).items() if one == name}
    # Keras would note a plain assignment as one more attribute of the layer.
    object.__setattr__(layer, name, method)
    try:
        yield
    finally:
        object.__delattr__(layer, name)
        for one, value in own.items():
            object.__setattr__(layer, one, value)
