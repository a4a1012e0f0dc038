"""The full-integer .tflite file of a model that TF-MOT quantized."""

import re
from typing import Any

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.interpreter import check_integers, interpreter_of, without_warnings
from keras_snare.quantize.representative import examples

__all__ = ["TYPES", "integer_file", "interpreter_of"]

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
        with without_warnings():
            content = converter.convert()
    except Exception as error:  # The converter's own error, and whatever its Python parts raise.
        raise UnsupportedModelError(
            "Expected a model that LiteRT's converter takes in int8. Received: "
            f"{quantized.name!r}, of which it says {type(error).__name__}: {error} Replace the "
            "layer that it names, or an unusual activation, such as elu."
        ) from error
    names = {layer.name for layer in quantized.layers}
    check_integers(
        content,
        lambda paths: sorted({part for one in paths for part in re.split(r"[/;]", one)} & names),
        "Replace these layers by others, or give a QuantizeConfig for them in `configs`.",
    )
    return content
