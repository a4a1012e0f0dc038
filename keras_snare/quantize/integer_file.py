"""The full-integer .tflite file of a network that computes rounded."""

import re
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.interpreter import check_integers, without_warnings
from keras_snare.quantize.representative import examples

TYPES = ("int8", "uint8", "float32")


def integer_file(quantized: Any, batches: list, input_type: str, output_type: str) -> bytes:
    """Converts a model to a file that computes with integers only.

    Args:
        quantized: a model of TF-MOT, or one of Keras 3 with fake quantization in it.
        batches: representative data, for ranges that the model leaves open.
        input_type: `"int8"`, `"uint8"` or `"float32"`, what the file takes.
        output_type: the same of what it returns.

    Raises:
        UnsupportedModelError: when the converter refuses, or leaves something in float.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(_of_one_example(quantized))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    size = quantized.inputs[0].shape[0] or 1
    converter.representative_dataset = lambda: examples(batches, size)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = getattr(tf, input_type)
    converter.inference_output_type = getattr(tf, output_type)
    try:
        # Keras tells at length where it keeps the model meanwhile.
        with without_warnings(), redirect_stdout(StringIO()):
            content = converter.convert()
    except Exception as error:  # The converter's own error, and whatever its Python parts raise.
        raise UnsupportedModelError(
            "Expected a model that LiteRT's converter takes in int8. Received: "
            f"{quantized.name!r}, of which it says {type(error).__name__}: {error} Replace the "
            "layer that it names, or an unusual activation, such as elu."
        ) from error
    check_integers(
        content,
        lambda paths: _layers_named(quantized, paths),
        "Replace these layers by others, recurrent ones by such with unroll=True; or, with TF-MOT, "
        "give a QuantizeConfig for them in `configs`, or take engine='keras'.",
    )
    return content


def _of_one_example(quantized: Any) -> Any:
    """The model for a single example, if it is one of Keras 3: it asks for no sizes in the file."""
    if not isinstance(quantized, keras.Model):
        return quantized
    inputs = [
        keras.Input(batch_shape=(one.shape[0] or 1, *one.shape[1:]), dtype=one.dtype, name=one.name)
        for one in quantized.inputs
    ]
    outputs = quantized(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=quantized.name)


def _layers_named(quantized: Any, paths: list[str]) -> list[str]:
    """Names of the layers that made tensors, by the names that TensorFlow gave to these."""
    names = {layer.name: layer.name.removeprefix("quant_") for layer in quantized.layers}
    # TensorFlow counts the scopes of a layer that is called again.
    parts = {part for path in paths for part in re.split(r"[/;]", path)}
    parts |= {re.sub(r"_\d+$", "", part) for part in parts}
    return sorted({names[part] for part in parts if part in names})
