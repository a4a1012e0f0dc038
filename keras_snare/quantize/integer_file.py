"""The full-integer .tflite file of a quantized model: made, and looked through."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.representative import examples

TYPES = ("int8", "uint8", "float32")


def integer_file(quantized: Any, batches: list, input_type: str, output_type: str) -> bytes:
    """Converts a model of TF-MOT to a file that computes with integers only.

    Args:
        quantized: the model.
        batches: representative data, for ranges that TF-MOT has left open.
        input_type: `"int8"`, `"uint8"` or `"float32"`, what the file takes.
        output_type: the same of what it returns.

    Raises:
        UnsupportedModelError: when the converter refuses, or leaves something in float.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(quantized)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    size = quantized.inputs[0].shape[0] or 1
    converter.representative_dataset = lambda: examples(batches, size)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = getattr(tf, input_type)
    converter.inference_output_type = getattr(tf, output_type)
    try:
        with _without_warnings():
            content = converter.convert()
    except Exception as error:  # The converter's own error, and whatever its Python parts raise.
        raise UnsupportedModelError(
            "Expected a model that LiteRT's converter takes in int8. Received: "
            f"{quantized.name!r}, of which it says {type(error).__name__}: {error} Replace the "
            "layer that it names, or an unusual activation, such as elu."
        ) from error
    _check_integers(content, quantized)
    return content


def interpreter_of(content: bytes) -> Any:
    """Returns a LiteRT interpreter for a file, ready to run."""
    import tensorflow as tf

    with _without_warnings():
        interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    return interpreter


def _check_integers(content: bytes, quantized: Any) -> None:
    interpreter = interpreter_of(content)
    ends = interpreter.get_input_details() + interpreter.get_output_details()
    outside = {one["index"] for one in ends}
    left = [
        one["name"]
        for one in interpreter.get_tensor_details()
        if np.issubdtype(one["dtype"], np.floating) and one["index"] not in outside
    ]
    if left:
        names = {layer.name for layer in quantized.layers}
        found = {part for name in left for part in re.split(r"[/;]", name) if part in names}
        raise UnsupportedModelError(
            "Expected a file in which everything is an integer. Received: tensors in float in "
            f"{', '.join(sorted(found)) or ', '.join(left)}. Replace these layers by others, or "
            "give a QuantizeConfig for them in `configs`."
        )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """TensorFlow warns of what is meant here: no statistics of inputs, an old interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
