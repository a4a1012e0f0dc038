"""Mistakes that `to_litert` can see before it converts."""

import math
from typing import Any

import keras

from keras_snare.arguments import is_number
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.trace import parts_of
from keras_snare.quantize.converting import INTEGER
from keras_snare.quantize.integer_file import TYPES
from keras_snare.quantize.serving import Served
from keras_snare.quantize.trial import TOLERANCES

_ENDS = {"int8": TYPES, "int16x8": ("int16", "float32")}
_KERAS_MODES = ("int8", "float8")
_VARIABLES = ("float16", "bfloat16", "float64")


def check_quantize(quantize: Any, data: Any, ends: dict[str, Any], tolerance: Any) -> None:
    """Checks how a file is to be made.

    Raises:
        ValueError: for the first argument that is out of range.
    """
    if not isinstance(quantize, (str, type(None))) or quantize not in TOLERANCES:
        raise ValueError(
            f"`quantize` is one of {', '.join(map(repr, TOLERANCES))}. Received: "
            f"quantize={quantize!r}"
        )
    if quantize in INTEGER and data is None:
        raise ValueError(
            f"Expected representative_data with quantize={quantize!r}, which measures on them how "
            "far the values of each layer reach. Received: none. Give some hundred examples of "
            'what the network will see, or quantize="dynamic".'
        )
    for name, value in ends.items():
        known = _ENDS.get(quantize or "", ())
        if value is not None and value not in known:
            allowed = ", ".join(map(repr, (*known, None)))
            raise ValueError(
                f"With quantize={quantize!r}, `{name}` is one of {allowed}. Received: "
                f"{name}={value!r}"
            )
    if tolerance is not None and not (is_number(tolerance) and 0 < tolerance < math.inf):
        raise ValueError(
            "`tolerance` is a positive number, a share of the greatest output, or None. Received: "
            f"tolerance={tolerance!r}"
        )


def served_model(model: Any, quantize: str | None, batch_size: int = 1) -> Served:
    """Returns a model as it goes into a file.

    Args:
        model: a Keras model.
        quantize: as `to_litert` takes it.
        batch_size: int, how many examples the file takes where the model leaves that open.

    Raises:
        UnsupportedModelError: when it cannot.
    """
    if keras.backend.backend() != "tensorflow":
        raise UnsupportedModelError(
            "Expected the TensorFlow backend, from which LiteRT's converter takes models. "
            f"Received: {keras.backend.backend()}. Save the model, and load it in a process with "
            "KERAS_BACKEND=tensorflow."
        )
    if isinstance(model, keras.Model) and not model.built:
        raise UnsupportedModelError(
            f"Expected a model that is built. Received: {model.name!r}, which has no weights yet. "
            "Give it a keras.Input, or call it on a batch of data, first."
        )
    served = Served(model, batch_size)
    for layer in (model, *parts_of(model)):
        _check_layer(layer)
    for name, tensor in zip(served.inputs, served.form.inputs, strict=True):
        odd = getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False)
        if odd or tensor.dtype == "string":
            raise UnsupportedModelError(
                "Expected inputs that are dense tensors of numbers. Received: "
                f"{name!r}, which is {'sparse or ragged' if odd else 'of strings'}. Do this part "
                "of the work outside of the model."
            )
        if quantize == "int16x8" and not tensor.dtype.startswith("float"):
            raise UnsupportedModelError(
                "Expected inputs that are floats with quantize='int16x8', in which LiteRT's "
                f"converter takes no others. Received: {name!r}, which is {tensor.dtype}. Use "
                'quantize="int8", or a keras.Input of float32.'
            )
    return served


def _check_layer(layer: Any) -> None:
    mode = getattr(layer, "quantization_mode", None)
    kind = f"layer {layer.name!r} ({type(layer).__name__})"
    if mode in _KERAS_MODES:
        raise UnsupportedModelError(
            f"Expected layers with weights in float. Received: {kind}, which Keras has quantized "
            f"to {mode}, a form that LiteRT's converter does not take. Write the file of the model "
            'as it was before model.quantize; quantize="int8" has LiteRT do the same.'
        )
    if layer.variable_dtype in _VARIABLES and layer.weights:
        raise UnsupportedModelError(
            f"Expected weights in float32. Received: {kind}, whose weights are "
            f"{layer.variable_dtype}. Build the model again with dtype float32, and copy the "
            "weights with set_weights."
        )
