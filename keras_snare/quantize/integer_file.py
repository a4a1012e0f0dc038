"""The full-integer .tflite file of a network that computes rounded."""

import re
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.converting import explained, loops_in
from keras_snare.quantize.interpreter import check_integers, without_warnings
from keras_snare.quantize.representative import examples
from keras_snare.quantize.rounding import has_recurrent, without_rounding
from keras_snare.quantize.trial import TOLERANCES, compared

TYPES = ("int8", "uint8", "float32")
_CURE = (
    "Give representative_data like those that the model is trained on, or take "
    "QuantizeAwareCallback(engine='keras'), which rounds other layers."
)
_USUAL = "or an unusual activation, such as elu."
_GIVEN = (
    "or change the quantizers that `configs` or `scheme` give it: LiteRT computes with weights "
    "whose ranges are symmetric around zero, of narrow_range=True."
)


def integer_file(
    quantized: Any, batches: list, input_type: str, output_type: str, *, given: bool = False
) -> bytes:
    """Converts a model to a file that computes with integers only.

    Args:
        quantized: a model of TF-MOT, or one of Keras 3 with fake quantization in it.
        batches: representative data, for ranges that the model leaves open.
        input_type: `"int8"`, `"uint8"` or `"float32"`, what the file takes.
        output_type: the same of what it returns.
        given: whether quantizers of the user's are in the model, which may be what is refused.

    Raises:
        UnsupportedModelError: when the converter refuses, leaves something in float, or writes what
            does not compute what the model computes.
    """
    import tensorflow as tf

    size: int = quantized.inputs[0].shape[0] or 1
    # Of gates that are split, the converter leaves parts in float, unless it finds all ranges
    # itself, and with its older quantizer.
    gated = isinstance(quantized, keras.Model) and has_recurrent(quantized)
    with without_rounding() if gated else nullcontext():
        single = _of_one_example(quantized)
        if isinstance(quantized, keras.Model):
            _check_loops(quantized, single)
        converter = tf.lite.TFLiteConverter.from_keras_model(single)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.experimental_new_quantizer = not gated
        converter.representative_dataset = lambda: examples(batches, size)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = getattr(tf, input_type)
        converter.inference_output_type = getattr(tf, output_type)
        # Keras tells at length where it keeps the model meanwhile.
        with (
            explained(quantized.name, "in int8", _GIVEN if given else _USUAL),
            without_warnings(),
            redirect_stdout(StringIO()),
        ):
            content = converter.convert()
    check_integers(
        content,
        lambda paths: _layers_named(quantized, paths),
        "Replace these layers by others, recurrent ones by such with unroll=True; or, with TF-MOT, "
        "give a QuantizeConfig for them in `configs`, or take engine='keras'.",
    )
    compared(Rounded(quantized, size), content, batches, TOLERANCES["int8"], _CURE, stepped=True)
    return content


def _check_loops(quantized: keras.Model, single: keras.Model) -> None:
    """On a loop of integers the converter ends the process, so that nothing could tell of it."""
    import tensorflow as tf

    specs = [tf.TensorSpec(one.shape, one.dtype) for one in single.inputs]
    function = tf.function(lambda given: single(given, training=False), autograph=False)
    loops = loops_in(function.get_concrete_function(specs if len(specs) > 1 else specs[0]))
    if loops:
        raise UnsupportedModelError(
            "Expected a model without loops, which LiteRT's converter does not take in integers. "
            f"Received: a loop in {', '.join(_layers_named(quantized, loops) or loops)}. Compute "
            "it without."
        )


class Rounded:
    """A network that computes rounded, by the names that the converter gives to its ends.

    Args:
        model: of TF-MOT, or of Keras 3.
        batch_size: int, how many examples the file takes at a time.
    """

    def __init__(self, model: Any, batch_size: int):
        self.model = model
        self.batch_size = batch_size
        self.inputs = [re.sub(r":\d+$", "", one.name) for one in model.inputs]
        if isinstance(model, keras.Model):
            self.outputs = [f"output_{at}" for at, _ in enumerate(model.output_names)]
        else:
            self.outputs = list(model.output_names)

    def traced(self, *flat: Any) -> dict[str, Any]:
        """Computes the outputs, by name."""
        inputs = list(flat)
        found = self.model(inputs if len(inputs) > 1 else inputs[0], training=False)
        return dict(zip(self.outputs, keras.tree.flatten(found), strict=True))


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
