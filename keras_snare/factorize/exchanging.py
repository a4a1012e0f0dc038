"""A model once more, with other layers in the place of some."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_snare.graph.trace import is_nested_graph


def exchanged(model, instead: Mapping[int, Sequence[Any]]) -> keras.Model:
    """Returns a copy of a model in which layers stand for others, also in models inside of it.

    All other layers have the weights of the model's. It is compiled as the model is, with an
    optimizer of its own.

    Args:
        model: Sequential or functional.
        instead: by id of a layer, those that stand for it, one behind the other; their weights are
            set by the caller.
    """
    copying = _Copying(instead)
    found = copying.model(model)
    for layer, copy in copying.pairs:
        copy.set_weights(layer.get_weights())
        _copy_state(layer, copy)
    if model.compiled:
        _compile(model, found)
    return found


def _copy_state(layer, copy) -> None:
    """Gives a copy what a layer has learned beside its weights: tables, and derived statistics."""
    if hasattr(layer, "save_assets") and hasattr(layer, "load_assets"):
        with tempfile.TemporaryDirectory() as folder:
            layer.save_assets(folder)
            copy.load_assets(folder)
    if hasattr(copy, "finalize_state"):
        copy.finalize_state()


def _compile(model, found) -> None:
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
    """

    def __init__(self, instead: Mapping[int, Sequence[Any]]):
        self._instead = instead
        self._behind = {id(parts[0]): parts[1:] for parts in instead.values()}
        self._made: dict[int, Any] = {}
        self.pairs: list[tuple[Any, Any]] = []

    def model(self, model) -> Any:
        """A copy of a model, with weights of its own as yet."""
        if isinstance(model, keras.Sequential):
            start = model.inputs[0]
            settings = {"batch_shape": start.shape, "dtype": start.dtype, "sparse": start.sparse}
            parts: list[Any] = [keras.Input(**settings, name=start.name)]
            for layer in model.layers:
                parts += self._instead.get(id(layer)) or [self._copy(layer)]
            found = keras.Sequential(parts, name=model.name)
        else:
            found = keras.models.clone_model(
                model, clone_function=self._first, call_function=self._called
            )
        if not model.trainable:
            found.trainable = False
        return found

    def _first(self, operation) -> Any:
        parts = self._instead.get(id(operation))
        return parts[0] if parts else self._copy(operation)

    def _called(self, operation, *args, **kwargs) -> Any:
        result = operation(*args, **kwargs)
        for part in self._behind.get(id(operation), ()):
            result = part(result)
        return result

    def _copy(self, operation) -> Any:
        if id(operation) not in self._made:
            if isinstance(operation, keras.Model) and is_nested_graph(operation):
                copy = self.model(operation)
            else:
                copy = type(operation).from_config(operation.get_config())
                if isinstance(operation, keras.Layer):  # Functions have no weights.
                    self.pairs.append((operation, copy))
            self._made[id(operation)] = copy
        return self._made[id(operation)]
