"""A model as Keras, a SavedModel and LiteRT run it."""

import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_snare.graph.trace import input_structure_of
from keras_snare.quantize.converting import converted, write_saved_model
from keras_snare.quantize.interpreter import unallocated
from keras_snare.quantize.serving import Served

Run = Callable[[], Any]


def in_keras(model: keras.Model, form: Any, flat: list[np.ndarray]) -> Run:
    """Returns what computes a batch as `model.predict` does.

    Args:
        model: a built model.
        form: its functional form.
        flat: the batch, one array per input of the form.
    """
    inputs = keras.tree.pack_sequence_as(input_structure_of(form), flat)
    return lambda: model.predict_on_batch(inputs)


def as_saved_model(served: Served, flat: list[np.ndarray]) -> Run:
    """Returns what computes a batch in TensorFlow alone, from what `model.export` writes."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(served, folder)
        loaded = tf.saved_model.load(folder)
    compute = loaded.signatures["serving_default"]
    given = {
        name: tf.constant(one, tensor.dtype)
        for name, one, tensor in zip(served.inputs, flat, served.form.inputs, strict=True)
    }

    def run() -> Any:
        # `compute` alone does not keep the variables.
        return loaded and [one.numpy() for one in compute(**given).values()]

    return run


def in_litert(served: Served, flat: list[np.ndarray], threads: int) -> tuple[Run, int]:
    """Returns what computes a batch in LiteRT, in float32, and the bytes of its file.

    Raises:
        UnsupportedModelError: when LiteRT's converter refuses the model.
    """
    content = converted(served, None, [], (None, None))
    interpreter = unallocated(content, threads)
    signature = interpreter.get_signature_runner("serving_default")
    details = signature.get_input_details()
    given = dict(zip(served.inputs, flat, strict=True))
    # It leaves the batch in the file's inputs, for the runs that follow.
    signature(**{name: given[name].astype(details[name]["dtype"]) for name in details})
    return interpreter.invoke, len(content)
