"""A .tflite file of a trained model, tried before it is written."""

import os
from typing import Any

import keras

from keras_snare.files import write_whole
from keras_snare.quantize.converting import INTEGER, converted
from keras_snare.quantize.litert_checks import check_quantize, served_model
from keras_snare.quantize.options import check_path
from keras_snare.quantize.representative import (
    check_enough,
    random_batch,
    representative_batches,
)
from keras_snare.quantize.serving import set_up
from keras_snare.quantize.trial import THREADS, tried
from keras_snare.report import LiteRTReport


def to_litert(
    model: keras.Model,
    path: str | os.PathLike[str],
    quantize: str | None = None,
    *,
    representative_data: Any = None,
    input_type: str | None = None,
    output_type: str | None = None,
    tolerance: float | None = None,
) -> LiteRTReport:
    """Writes a model to a .tflite file, for LiteRT on phones and microcontrollers.

    The file is run by LiteRT's interpreter, and compared with Keras, before it is written: whole,
    or not at all. It takes one example at a time, or as many as the model's inputs say, and knows
    its inputs and outputs by the names in the report.

    A model in mixed precision is written in float32. In integers, recurrent layers are unrolled,
    for which the length of their sequences has to be known.

    Args:
        model: a built model: Sequential, functional, or subclassed with a `call` that runs on
            symbolic inputs. It is not changed.
        path: where the file is written; one that is there is replaced.
        quantize: None keeps float32. `"float16"` stores weights in half of the bytes. `"dynamic"`
            stores the weights of large layers as 8-bit integers, and computes with these as far as
            LiteRT can. `"int8"` computes with 8-bit integers only. `"int16x8"` has 8 bits for
            weights and 16 for what flows between layers.
        representative_data: arrays, a tf.data.Dataset, a keras.utils.PyDataset or a generator, of
            inputs or as `fit` takes them; 8 batches at most are read. Ranges are measured on it, so
            that `"int8"` and `"int16x8"` need it, and the file is tried on it. None tries the file
            on random numbers.
        input_type: what the file takes where the model takes floats. With `"int8"`, one of
            `"int8"`, `"uint8"` and `"float32"`; with `"int16x8"`, `"int16"` or `"float32"`. None
            leaves floats.
        output_type: the same of what it returns.
        tolerance: float, how far the file may be off, as a share of the greatest output. None
            allows 2e-5 in float32, 0.02 in float16, 0.25 in `"dynamic"` and `"int16x8"`, and 0.5 in
            `"int8"`: enough to tell a wrong file from a rounded one. Measure accuracy yourself.

    Returns:
        A `LiteRTReport`: bytes, difference from Keras and latency.

    Raises:
        ValueError, TypeError: for arguments out of range, or data that do not suit the model.
        UnsupportedModelError: when the model cannot be converted, something is left in float that
            was to be an integer, or the file does not compute what Keras computes.
        OSError: when the file cannot be written; what was there stays.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, activation="relu")])
    >>> data = np.random.default_rng(0).random((64, 8), dtype="float32")
    >>> report = keras_snare.to_litert(model, "model.tflite", "int8", representative_data=data)
    >>> report.bytes < 4096, report.difference < 0.1
    (True, True)

    Reference:
        Jacob et al., 2018, Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference.
    """
    ends = {"input_type": input_type, "output_type": output_type}
    check_quantize(quantize, representative_data, ends, tolerance)
    check_path(path)
    served = served_model(model, quantize)
    given = representative_data is not None
    batches = (
        representative_batches(served.form, representative_data) if given else [random_batch(model)]
    )
    check_enough(batches, served.batch_size)
    with set_up(model, unroll=quantize in INTEGER):
        content = converted(served, quantize, batches, (input_type, output_type))
        trial = tried(served, content, quantize, batches, tolerance)
    write_whole(path, content)
    return LiteRTReport(
        path=os.fspath(path),
        quantize=quantize,
        bytes=len(content),
        difference=trial.difference,
        examples=trial.examples,
        representative=given,
        latency_ms=trial.latency_ms,
        threads=THREADS,
        batch_size=served.batch_size,
        inputs=served.inputs,
        outputs=served.outputs,
    )
