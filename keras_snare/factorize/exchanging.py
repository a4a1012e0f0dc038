"""A model once more, with other layers in the place of some."""

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.calls import Trace
from keras_snare.graph.trace import (
    input_structure_of,
    is_nested_graph,
    parts_of,
    structure_of,
    takes_a_graph,
)

# What a configuration names, and Keras finds again only where it is registered.
_OBJECTS = ("activation", "initializer", "regularizer", "constraint")


def check_classes(graph: Trace, model: keras.Model, layers: Iterable[Any]) -> None:
    """Checks that a model can be built once more with other layers in it, in its own class.

    Args:
        graph: of the model.
        model: Sequential or functional.
        layers: those that others are to stand for.

    Raises:
        UnsupportedModelError: when its class, or that of a model inside with such a layer, has a
            constructor that builds the layers itself.
    """
    found = {id(one) for one in layers}
    nested = [call.operation for call in graph.nested if isinstance(call.operation, keras.Model)]
    holding = [one for one in nested if found & {id(part) for part in parts_of(one)}]
    for one in (model, *holding):
        if not takes_a_graph(type(one)):
            raise UnsupportedModelError(
                "Expected a model whose class is built of layers or tensors, as keras.Sequential "
                f"and keras.Model are. Received: {one.name!r}, whose class {type(one).__name__} "
                "has another constructor, which would bring back the layers that are replaced. "
                "Have __init__ take *args and **kwargs and pass them on, or give "
                "keras.Model(model.inputs, model.outputs), which has the same layers and weights."
            )


def exchanged(model: keras.Model, instead: Mapping[int, Sequence[Any]]) -> keras.Model:
    """Returns a copy of a model in which layers stand for others, also in models inside of it.

    All other layers have the weights of the model's, and are trained or frozen as those are. It is
    of the model's class, and compiled as the model is, with an optimizer of its own.

    Args:
        model: Sequential or functional, one that `check_classes` lets pass.
        instead: by id of a layer, those that stand for it, one behind the other; their weights are
            set by the caller.

    Raises:
        UnsupportedModelError: when a layer cannot be built from its configuration.
    """
    stated = [(part, part.trainable) for parts in instead.values() for part in parts]
    copying = _Copying(instead)
    found = copying.model(model)
    # A model passes its flag on to all that is in it, so what is inside comes later.
    for one, copy in reversed(copying.models):
        copy.trainable = one.trainable
    for part, trainable in stated:
        part.trainable = trainable
    for layer, copy in copying.pairs:
        copy.set_weights(layer.get_weights())
        _copy_state(layer, copy)
        _copy_flags(layer, copy)
    if model.compiled:
        _compile(model, found)
    return found


def _copy_state(layer: keras.layers.Layer, copy) -> None:
    """Gives a copy what a layer has learned beside its weights: tables, and derived statistics."""
    if hasattr(layer, "save_assets") and hasattr(layer, "load_assets"):
        with tempfile.TemporaryDirectory() as folder:
            layer.save_assets(folder)
            copy.load_assets(folder)
    if hasattr(copy, "finalize_state"):
        copy.finalize_state()


def _copy_flags(layer: keras.layers.Layer, copy) -> None:
    """Has a copy train what a layer trains, also in the layers that it is made of."""
    # Each comes before those inside of it, to which it passes its flag on.
    for one, other in zip((layer, *parts_of(layer)), (copy, *parts_of(copy)), strict=True):
        if other.trainable != one.trainable:
            other.trainable = one.trainable
    for variable, other in zip(layer.weights, copy.weights, strict=True):
        if other.trainable != variable.trainable:
            other.trainable = variable.trainable


def _compile(model: keras.Model, found) -> None:
    """Compiles a model as another is, where Keras can tell how that is."""
    try:
        found.compile_from_config(model.get_compile_config())
    except (TypeError, ValueError) as error:
        warnings.warn(
            f"{model.name!r} is compiled with functions that Keras cannot find again ({error}). "
            "The new model is not compiled: call its compile(...) with them, or decorate them by "
            "keras.saving.register_keras_serializable.",
            UserWarning,
            stacklevel=4,
        )


class _Copying:
    """Copies models layer by layer; what is shared stays shared.

    Args:
        instead: see `exchanged`.

    Attributes:
        pairs: the layers that were copied, and their copies.
        models: the same for models, each behind those inside of it.
    """

    def __init__(self, instead: Mapping[int, Sequence[Any]]) -> None:
        self._instead = instead
        self._behind = {id(parts[0]): parts[1:] for parts in instead.values()}
        self._made: dict[int, Any] = {}
        self.pairs: list[tuple[Any, Any]] = []
        self.models: list[tuple[Any, Any]] = []

    def model(self, model: keras.Model) -> Any:
        """A copy of a model, with weights of its own as yet."""
        if isinstance(model, keras.Sequential):
            start = model.inputs[0]
            settings = {"batch_shape": start.shape, "dtype": start.dtype, "sparse": start.sparse}
            parts: list[Any] = [keras.Input(**settings, name=start.name)]
            for layer in model.layers:
                parts += self._instead.get(id(layer)) or [self._copy(layer)]
            found = type(model)(parts, name=model.name)
        else:
            found = self._functional(model)
        self.models.append((model, found))
        return found

    def _functional(self, model: keras.Model) -> Any:
        # Of one that is compiled, Keras would compile the copy, with functions it may not find.
        plain = keras.Model(input_structure_of(model), structure_of(model), name=model.name)
        found = keras.models.clone_model(
            plain,
            _inputs_like(model),
            clone_function=self._first,
            call_function=self._called,
        )
        if type(found) is type(model):
            return found
        tensors = input_structure_of(found), structure_of(found)
        return type(model)(*tensors, name=model.name)

    def _first(self, operation) -> Any:
        parts = self._instead.get(id(operation))
        return parts[0] if parts else self._copy(operation)

    def _called(self, operation, *args: Any, **kwargs: Any) -> Any:
        result = operation(*args, **kwargs)
        for part in self._behind.get(id(operation), ()):
            result = part(result)
        return result

    def _copy(self, operation) -> Any:
        if id(operation) not in self._made:
            # A class that builds its own layers has none replaced: `check_classes`.
            is_graph = isinstance(operation, keras.Model) and is_nested_graph(operation)
            if is_graph and takes_a_graph(type(operation)):
                copy = self.model(operation)
            else:
                copy = _again(operation)
                if isinstance(operation, keras.Layer):  # Functions have no weights.
                    self.pairs.append((operation, copy))
            self._made[id(operation)] = copy
        return self._made[id(operation)]


def _inputs_like(model: keras.Model) -> Any:
    """Symbolic inputs in the structure of a model's, from layers of the same names."""
    names = {
        id(layer.output): layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.InputLayer)
    }

    def like(tensor):
        shape, dtype, sparse = tensor.shape, tensor.dtype, tensor.sparse
        name = names.get(id(tensor), tensor.name)
        return keras.Input(batch_shape=shape, dtype=dtype, sparse=sparse, name=name)

    return keras.tree.map_structure(like, input_structure_of(model))


def _again(operation) -> Any:
    """An operation built once more from its configuration."""
    try:
        with warnings.catch_warnings():
            # A lambda function is handed on as it is.
            warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
            config = operation.get_config()
        if type(operation).__module__.startswith("keras."):
            config = {name: _stated(operation, name, one) for name, one in config.items()}
        return type(operation).from_config(config)
    except Exception as error:  # Code of a user may fail in any way.
        raise UnsupportedModelError(
            "Expected layers that can be built from their configurations. Received: "
            f"{operation.name!r} ({type(operation).__name__}), which cannot ({error}). Give it a "
            "get_config and a from_config that suit, or register what it refers to by "
            "keras.saving.register_keras_serializable."
        ) from error


def _stated(operation, name: str, value: Any) -> Any:
    """A setting, the object itself where the configuration only tells how to make it."""
    held = getattr(operation, name, None)
    return held if name.endswith(_OBJECTS) and callable(held) else value
