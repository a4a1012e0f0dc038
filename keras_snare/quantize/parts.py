"""What a layer becomes in tf_keras, as plain data."""

from dataclasses import dataclass, field
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize import stored_call

FUNCTION = "KerasFunction"


class Untranslated(Exception):  # noqa: N818 - it is caught at once, to be told with a name
    """Says why a layer has no equal in tf_keras."""


@dataclass(frozen=True, eq=False)
class Part:
    """One layer of tf_keras; several in a row may stand for one of Keras 3.

    Args:
        kind: str, name of the class in `tf_keras.layers`, or `FUNCTION` for the layer of ours that
            calls a function of Keras.
        config: arguments of that class, but for its name.
        weights: the variables in Keras 3 whose values its weights have, in its order.
        suffix: str, what its name has behind that of the layer which it stands for.
        reads: what it is called on: numbers into the inputs of the call, followed by the results of
            the parts before it. None: all inputs, or, of a later part, the result before it.
    """

    kind: str
    config: dict[str, Any] = field(default_factory=dict)
    weights: tuple[Any, ...] = ()
    suffix: str = ""
    reads: tuple[int, ...] | None = None


def function(name: str, args: Any, kwargs: dict[str, Any], suffix: str = "") -> Part:
    """The layer of ours that calls a function of Keras, which TensorFlow then computes.

    Args:
        name: str, `"ops.clip"` or `"activations.celu"`.
        args: those of its arguments that have no name, a `stored_call.Tensor` for each input.
        kwargs: those that have one.
        suffix: as in `Part`.
    """
    if keras.backend.backend() != "tensorflow":
        raise Untranslated(
            f"keras.{name} is computed by Keras's backend, which has to be TensorFlow. Received: "
            f"{keras.backend.backend()}"
        )
    try:
        arguments = stored_call.stored(args, kwargs)
    except TypeError as error:
        raise Untranslated(f"keras.{name} is given what no configuration holds: {error}") from error
    return Part(FUNCTION, {"function": name, "arguments": arguments}, suffix=suffix)


def unsupported(name: str, kind: str, reason: str) -> UnsupportedModelError:
    """The error about a layer without an equal."""
    return UnsupportedModelError(
        f"Expected layers that have an equal in tf_keras. Received: layer {name!r} ({kind}): "
        f"{reason}. Replace it, or leave it out of the model that is rebuilt."
    )
