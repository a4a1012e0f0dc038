"""A model's configuration as few bytes, and the model that it describes.

It is JSON as Keras writes it. What a file may ask for is bounded: Keras's own classes and those of
this package, no code, and no more numbers than it declares; they are counted before any variable
takes up memory.
"""

import json
import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_snare.codec.classes import check_classes
from keras_snare.codec.phrases import PHRASES
from keras_snare.errors import CodecError, UnsupportedModelError
from keras_snare.graph.trace import parts_of, states_its_graph, without_values

# A configuration is text about layers; ten million characters are those of a hundred thousand.
MAX_SIZE = 10_000_000
# Mean and variance of pictures of a thousand pixels in height and width, and the like.
_MOST_CONSTANTS = 2**23
_COMPILED = "compile_config"


def configuration_of(model: keras.Model, compiled: bool) -> bytes:
    """Returns the configuration of a model as JSON.

    Args:
        model: Sequential or functional.
        compiled: bool, whether loss, metrics and optimizer are in it.

    Raises:
        UnsupportedModelError: when it could not be built again from it.
    """
    if not states_its_graph(model):
        raise UnsupportedModelError(
            f"Expected a Sequential or functional model. Received: {model.name!r}, a "
            f"{type(model).__name__}. Build it with the functional API: keras.Model(inputs, "
            "outputs)."
        )
    found = keras.saving.serialize_keras_object(model)
    settings = found.get(_COMPILED)
    found = _without_settings(found)
    if compiled and settings:
        found[_COMPILED] = settings
    with _refusing(model):
        check_classes(found)
        text = json.dumps(found, separators=(",", ":"), allow_nan=False).encode()
        _check_size(len(text))
        count = sum(map(count_of, variables_of(model)))
        again = numbers_of(stated(text))
        if again != count:
            raise CodecError(
                f"Expected {count} numbers in the variables of its configuration. Received: "
                f"{again}."
            )
    return text


def twin_of(model: keras.Model, configuration: bytes) -> Any:
    """Returns another model, built from the configuration of one; what `unpack` builds.

    Raises:
        UnsupportedModelError: when Keras cannot build it.
    """
    with _refusing(model):
        return model_of(stated(configuration))


def compressed(configuration: bytes) -> bytes:
    """Returns a configuration in few bytes."""
    found = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, PHRASES)
    return found.compress(configuration) + found.flush()


def decompressed(content: bytes, size: int) -> bytes:
    """Returns a configuration of a declared size.

    Raises:
        CodecError: when it is damaged, too large or of another size.
    """
    _check_size(size)
    try:
        stream = zlib.decompressobj(-15, PHRASES)
        found = stream.decompress(content, size + 1)
    except zlib.error as error:
        raise CodecError(
            f"Expected a compressed configuration. Received: none ({error}). The file is damaged."
        ) from error
    if len(found) != size or not stream.eof or stream.unused_data:
        raise CodecError(
            f"Expected a configuration of {size} bytes. Received: one of another size. The file is "
            "damaged."
        )
    return found


def stated(configuration: bytes) -> dict[str, Any]:
    """Returns what JSON states of a model.

    Raises:
        CodecError: when it is none, or asks for more than a model of known layers.
    """
    try:
        found = json.loads(configuration)
    except (ValueError, RecursionError) as error:
        raise CodecError(
            f"Expected a configuration in JSON. Received: other text ({error}). The file is "
            "damaged."
        ) from error
    if not isinstance(found, dict):
        raise CodecError(
            f"Expected the configuration of a model. Received: {type(found).__name__}. The file is "
            "damaged."
        )
    check_classes(found)
    return found


def numbers_of(state: dict[str, Any]) -> int:
    """Returns how many numbers the variables of a model have; none takes up memory for that.

    Raises:
        CodecError: when Keras cannot build it, or it spreads constants over too many numbers.
    """
    counting = _Counting(state)
    with without_values():
        # What layers compute while they are built is symbolic in there, as in a compiled function.
        counting.compute_output_spec(keras.KerasTensor((1,)))
    if counting.error is not None:
        raise counting.error
    return counting.numbers


class _Counting(keras.Operation):
    """Counts the numbers of a model that is stated, where Keras runs nothing but shapes."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(name="counting")
        self._state = state
        self.numbers, self.error = 0, None

    def call(self, inputs):
        try:
            model = _built(self._state)
            _check_constants(model)
            self.numbers = sum(count_of(one) for one in variables_of(model))
        except CodecError as error:  # Keras would raise another one from here.
            self.error = error
        return inputs


def model_of(state: dict[str, Any]) -> Any:
    """Returns the model that was stated, its variables as they are initialized.

    Raises:
        CodecError: when Keras cannot build it.
    """
    model = _built(state)
    settings = state.get(_COMPILED)
    if settings:
        with _building():
            model.compile_from_config(settings)
    return model


def variables_of(model: keras.Model) -> list[Any]:
    """The variables that a file holds: all but those of metrics and optimizers."""
    others = {id(one) for one in model.metrics_variables}
    return [one for one in model.variables if id(one) not in others]


def count_of(variable: Any) -> int:
    """How many numbers a variable has; shapes may be Keras's or the backend's."""
    found = 1
    for size in variable.shape:
        found *= int(size)
    return found


def finish(model: keras.Model) -> bool:
    """Has layers derive what they compute with from their variables, once these are set.

    Returns:
        Whether there are such layers; what was compiled before holds what they had then.
    """
    found = [one for one in parts_of(model) if isinstance(one, keras.layers.Normalization)]
    for layer in found:
        layer.finalize_state()
    return bool(found)


def _check_constants(model: keras.Model) -> None:
    """Checks what layers make of constants that are stated; these are no variables."""
    count = sum(
        2 * count_of(one.mean)
        for one in parts_of(model)
        if isinstance(one, keras.layers.Normalization) and one.input_mean is not None
    )
    if count > _MOST_CONSTANTS:
        raise CodecError(
            f"Expected constants of {_MOST_CONSTANTS} numbers in all at most, of layers "
            f"Normalization that are given theirs. Received: {count}. Adapt them to data instead."
        )


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise CodecError(
            f"Expected a configuration of {MAX_SIZE} bytes at most. Received: one of {size} bytes."
        )


def _without_settings(state: Any) -> Any:
    """What is stated of a model, without how it and the models in it were compiled."""
    if isinstance(state, dict):
        return {key: _without_settings(one) for key, one in state.items() if key != _COMPILED}
    return list(map(_without_settings, state)) if isinstance(state, (list, tuple)) else state


@contextmanager
def drawing_nothing() -> Iterator[None]:
    """Puts Python's random numbers back, which layers draw their seeds from when they are built."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)


@contextmanager
def _refusing(model: keras.Model) -> Iterator[None]:
    """Says of a model that it cannot be packed."""
    try:
        yield
    except (CodecError, TypeError, ValueError) as error:
        raise UnsupportedModelError(
            f"Model {model.name!r} cannot be built again from a file: {error} Use "
            "keras_snare.save_model for it."
        ) from error


@contextmanager
def _building() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # A file may ask Keras for anything.
        raise CodecError(
            f"Expected the configuration of a model. Received: one that Keras cannot build "
            f"({type(error).__name__}: {error}). The file is damaged, or of another Keras release."
        ) from error


def _built(state: dict[str, Any]) -> Any:
    with _building():
        model = keras.saving.deserialize_keras_object(_without_settings(state), safe_mode=True)
    if not isinstance(model, keras.Model) or not model.built:
        raise CodecError(
            f"Expected the configuration of a model. Received: that of a {type(model).__name__}. "
            "The file is damaged."
        )
    return model
