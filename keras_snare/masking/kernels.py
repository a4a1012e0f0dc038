"""The weights whose connections can be pruned one by one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.trace import children_of
from keras_snare.policy import means

layers = keras.layers
# Their weights scale and shift what is there, and connect nothing.
_SCALES = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.PReLU,
    layers.RMSNormalization,
)


@dataclass(frozen=True, eq=False)
class Kernel:
    """One variable that holds connections.

    Args:
        name: str, path of the layer and name of the variable, such as `"block/dense/kernel"`; it
            leaves out the name of the model.
        layer: str, path of the layer that users name, such as `"block/dense"`.
        owner: that layer.
        variable: the Keras variable.
    """

    name: str
    layer: str
    owner: Any
    variable: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the variable."""
        return tuple(self.variable.shape)

    @property
    def size(self) -> int:
        """Number of connections."""
        return int(keras.ops.size(self.variable.value))


def kernels_of(model: keras.Model, layers: Any = None) -> list[Kernel]:
    """Returns the kernels of a model that are trained, in the order of its layers.

    A kernel is a weight of at least two axes that is no normalisation's and no activation's: the
    kernels of dense, convolution, recurrent and attention layers and the table of an embedding, and
    in a layer class of your own every such weight whose name does not end in `bias`.

    Args:
        model: a built Keras model.
        layers: None for all; names, regular expressions that match a whole name, layer classes, or
            a predicate that takes a layer.

    Raises:
        TypeError: when `model` is no Keras model.
        UnsupportedModelError: when the model is not built, or has no such weight.
        ValueError: when `layers` matches none of them.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` is a Keras 3 model. Received: {type(model).__name__}")
    if not model.built:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built. Give it a keras.Input, or call "
            "model.build(input_shape), first."
        )
    trained = {id(variable) for variable in model.trainable_variables}
    found: dict[int, Kernel] = {}
    for kernel in _walk(model):
        if id(kernel.variable) in trained:
            found.setdefault(id(kernel.variable), kernel)
    if not found:
        raise UnsupportedModelError(
            f"Model {model.name!r} has no weight of two axes or more that is trained, so it has no "
            "connections to prune."
        )
    _check_names(list(found.values()), model)
    chosen = [
        one for one in found.values() if layers is None or means(layers, one.layer, one.owner)
    ]
    if not chosen:
        names = dict.fromkeys(one.layer for one in found.values())
        raise ValueError(
            f"`layers` matches no layer that has connections. Received: {layers!r}. Layers that "
            f"have: {', '.join(names)}."
        )
    return chosen


def _check_names(kernels: list[Kernel], model: keras.Model) -> None:
    """Masks go by names, which only a subclassed model can give twice."""
    [(name, count)] = Counter(one.name for one in kernels).most_common(1)
    if count > 1:
        raise UnsupportedModelError(
            f"Expected layers of different names. Received: model {model.name!r}, in which "
            f"{count} kernels are {name!r}. Give these layers names of their own."
        )


def _walk(model: keras.Model, path: str = "") -> Iterator[Kernel]:
    """The kernels of what a model, or a layer made of layers, holds."""
    parts = children_of(model)
    inside = {id(variable) for part in parts for variable in part.weights}
    for variable in model.weights:
        if id(variable) not in inside and _connects(model, variable):
            yield Kernel(f"{path}{variable.name}", path.rstrip("/") or model.name, model, variable)
    for part in parts:
        name = f"{path}{part.name}"
        if isinstance(part, keras.Model) or not type(part).__module__.startswith("keras."):
            yield from _walk(part, f"{name}/")
        else:
            yield from _of_layer(part, name, part, name)


def _connects(layer: keras.layers.Layer, variable) -> bool:
    scales = isinstance(layer, _SCALES) or variable.name.endswith("bias")
    return len(variable.shape) > 1 and not scales


def _of_layer(layer: keras.layers.Layer, name: str, part, path: str) -> Iterator[Kernel]:
    """The kernels of one of Keras's layers, and of those that it consists of."""
    parts = children_of(part)
    inside = {id(variable) for one in parts for variable in one.weights}
    for variable in part.weights:
        known = variable.name.endswith("kernel") or variable.name == "embeddings"
        if id(variable) not in inside and len(variable.shape) > 1 and known:
            yield Kernel(f"{path}/{variable.name}", name, layer, variable)
    for one in parts:
        yield from _of_layer(layer, name, one, f"{path}/{one.name}")
