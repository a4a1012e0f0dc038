"""`quantize_aware_train`: training for 8-bit integers by tf_keras's own `fit`."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.arguments import check_count
from keras_snare.files import write_whole
from keras_snare.graph import recorded_graph
from keras_snare.quantize.bridge import to_tf_keras
from keras_snare.quantize.calibration import calibrate, follow_weights
from keras_snare.quantize.chosen import chosen_layers
from keras_snare.quantize.compiling import compile_like
from keras_snare.quantize.environment import tf_mot
from keras_snare.quantize.feeding import fed
from keras_snare.quantize.integer_file import integer_file
from keras_snare.quantize.options import (
    check_options,
    check_path,
    quantizers_given,
    warn_of_late,
    warn_of_zeros,
)
from keras_snare.quantize.representative import check_enough, representative_batches
from keras_snare.quantize.twin import TfKerasTwin


@dataclass(frozen=True)
class _Options:
    path: Any
    layers: Any
    scheme: Any
    configs: Any
    input_type: str
    output_type: str


def quantize_aware_train(
    model: keras.Model,
    data: Any,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    steps_per_epoch: int | None = None,
    validation_data: Any = None,
    validation_steps: int | None = None,
    callbacks: Iterable[Any] | None = (),
    verbose: int | str = "auto",
    optimizer: Any = None,
    loss: Any = None,
    metrics: Any = None,
    path: str | os.PathLike[str] | None = "model.tflite",
    layers: Any = None,
    scheme: Any = "default",
    configs: dict[str, Any] | None = None,
    representative_data: Any = None,
    input_type: str = "int8",
    output_type: str = "int8",
) -> Any:
    """Trains a model for 8-bit integers outside of its own `fit`, and writes the integer file.

    Use it on backends other than TensorFlow; on TensorFlow, `QuantizeAwareCallback` does the same
    in the `fit` that you have. The model's twin in tf_keras is quantized by TF-MOT and trained
    there; then the trained weights are put into the model's own variables. The optimizer of the
    model does not move.

    TF-MOT's default scheme loses the zeros of a sparse model, of which a warning tells, and the few
    values of a clustered one; its schemes Default8BitPrunePreserveQuantizeScheme and
    Default8BitClusterPreserveQuantizeScheme, of `tfmot.experimental.combine`, keep them.

    There is no `engine` here: that of Keras alone computes on TensorFlow only, where
    `QuantizeAwareCallback(engine="keras")` has it in the `fit` of the model.

    Args:
        model: a built Sequential or functional model in float32, on any backend of Keras 3.
        data: `(x, y)` or `(x, y, sample_weight)` of arrays, a tf.data.Dataset or a
            keras.utils.PyDataset of such batches.
        epochs: int, epochs of training.
        batch_size: int, examples of a step, where `data` are arrays.
        steps_per_epoch: int or None, steps of an epoch; a tf.data.Dataset is gone on with in the
            next, and begun anew at its end. None reads the data to their end in every epoch, also
            where nothing tells their length beforehand, as with `from_generator`: without an end,
            training would have none. A tf.data.Dataset that says that it has none needs the number.
        validation_data: the same as `data`, for the figures of each epoch.
        validation_steps: int or None, how many batches of `validation_data` are read, from their
            beginning in every epoch; None reads them to their end.
        callbacks: callbacks of tf_keras, or None.
        verbose: as in `fit`.
        optimizer: optimizer of Keras 3 or tf_keras, or its name; None has one like that of the
            model, with fresh moments.
        loss: loss of either; None takes that of the model.
        metrics: metrics of either; None takes those of the model.
        path: where the .tflite file is written, whole or not at all; None writes none.
        layers: those that are quantized in training, as in `QuantizeAwareCallback`.
        scheme: `"default"`, TF-MOT's 8-bit scheme, or a `QuantizeScheme` of TF-MOT.
        configs: dictionary, `QuantizeConfig`s of TF-MOT by name of a layer.
        representative_data: inputs from which ranges are set, as in `QuantizeAwareCallback`; None
            takes the first batches of `data`.
        input_type: `"int8"`, `"uint8"` or `"float32"`, what the file takes.
        output_type: the same of what it returns.

    Returns:
        The trained model of TF-MOT, in tf_keras. Its `history` holds the figures of each epoch.

    Raises:
        ValueError, TypeError: for arguments out of range.
        UnsupportedModelError: when the model has no equal in tf_keras, TF-MOT or the converter
            refuses it, or its optimizer, loss or metrics are not to be had there.
        ImportError, SnareError: when TF-MOT or tf_keras is missing, too old, or not made for
            TensorFlow's version.
        OSError: when the file cannot be written. After this error, and where the converter refuses
            only what was trained, the model holds the trained weights. After every other error it
            is as it was.

    Example:

    >>> quantized = keras_snare.quantize_aware_train(model, (x, y), epochs=3, path="model.tflite")

    Reference:
        Jacob et al., 2018, Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference.
    """
    options = _Options(path, layers, scheme, configs, input_type, output_type)
    check_options(options)
    if path is not None:
        check_path(path)
    check_count("epochs", epochs)
    check_count("batch_size", batch_size)
    recorded_graph(model)
    steps = {"steps_per_epoch": steps_per_epoch, "validation_steps": validation_steps}
    given = _fed(model, data, validation_data, batch_size, steps)
    shown = data[0] if isinstance(data, tuple) else data
    shown = shown if representative_data is None else representative_data
    batches = representative_batches(model, shown)
    check_enough(batches, model.inputs[0].shape[0] or 1)
    twin, quantized = _quantized(model, options)
    warn_of_zeros(model, scheme)
    compile_like(model, quantized, optimizer, loss, metrics)
    calibrate(quantized, batches)
    if path is not None:  # What the converter refuses is not worth the training.
        _file(quantized, batches, options)
    quantized.fit(
        **given,
        batch_size=batch_size if isinstance(data, tuple) else None,
        epochs=epochs,
        callbacks=list(callbacks or ()),
        verbose=verbose,
    )
    # Callbacks may have put weights of another epoch in.
    follow_weights(quantized, batches[0])
    twin.write_back(quantized)
    if path is not None:
        write_whole(path, _file(quantized, batches, options))
    return quantized


def _fed(
    model, data: Any, validation_data: Any, batch_size: int, steps: dict[str, int | None]
) -> dict[str, Any]:
    """Data, and how much of them is read, as arguments of `fit` of tf_keras."""
    for name, count in steps.items():
        check_count(name, count, optional=True)
    one, other = steps
    found: dict[str, Any] = fed(model, data, "data", steps[one], one, batch_size)
    if validation_data is not None:
        given = fed(model, validation_data, "validation_data", steps[other], other, batch_size)
        parts = tuple(given.values())
        found["validation_data"] = parts[0] if len(parts) == 1 else parts
    return {**found, **steps}


def _file(quantized: Any, batches: list, options: _Options) -> bytes:
    types = options.input_type, options.output_type
    return integer_file(quantized, batches, *types, given=quantizers_given(options))


def _quantized(model, options: _Options) -> tuple[TfKerasTwin, Any]:
    tf_mot()
    # It imports TF-MOT, which has to be done with care.
    from keras_snare.quantize.fake_quantization import fake_quantized

    configs = chosen_layers(model, options.layers, options.configs or {})
    twin = to_tf_keras(model)
    scheme = None if options.scheme == "default" else options.scheme
    quantized, late = fake_quantized(twin.model, configs, scheme)
    warn_of_late(late)
    twin.variables(quantized)
    return twin, quantized
