"""A model as a file of few bytes."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras

from keras_snare.arguments import check_count
from keras_snare.codec.choosing import PlainForms
from keras_snare.codec.coding import Coding
from keras_snare.codec.configuration import (
    configuration_of,
    drawing_nothing,
    finish,
    twin_of,
    variables_of,
)
from keras_snare.codec.grids import grids_of
from keras_snare.codec.pack_checks import check, check_same, codings_by_key
from keras_snare.codec.sensitive import SensitiveForms
from keras_snare.codec.sensitivity import evidence
from keras_snare.codec.target import Measure, smallest_within
from keras_snare.codec.units import units_of
from keras_snare.codec.writing import Packed, Variable, packed
from keras_snare.files import write_whole
from keras_snare.report.packing import PackReport


@drawing_nothing()
def pack(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    quality: float | None = None,
    max_loss: float | None = None,
    data: Any = None,
    validation_data: Any = None,
    monitor: str | None = None,
    mode: str = "auto",
    codings: Mapping[str, Coding] | None = None,
    grids: Mapping[str, tuple[int, ...]] | None = None,
    compiled: bool = False,
    batch_size: int = 128,
) -> PackReport:
    """Writes a trained model to a file of few bytes, which `unpack` makes a model of again.

    Without a quality every bit of the weights is kept. With one they are rounded to multiples of a
    step, kernels on a grid after a cosine transform where that is smaller, and what comes out is
    coded by how likely it is. Pruned, clustered and cut models make smaller files by themselves.

    With `data` steps follow what an error in each layer costs, and rounding makes errors good
    within a layer; that is worth a half of the bytes and more. With `max_loss` the quality is
    found at which a metric loses so much at most. Give validation data for it, not the test data.

    Args:
        model: a built Sequential or functional model of Keras's layers and this package's.
        path: of the file.
        quality: float from 1 to 100, as of a JPEG picture, or None to keep every bit. Each 12 less
            double the steps.
        max_loss: float, by how much the metric may be worse, in the place of a quality: 0.001 is a
            tenth of a point of accuracy.
        data: labelled training data, `(x, y)` arrays, a tf.data.Dataset or a
            keras.utils.PyDataset; a few thousand examples. The model is compiled then.
        validation_data: labelled data that the metric is taken on; `data` if None.
        monitor: str, the metric; None for the first that the model is compiled with.
        mode: "max" if more of it is better, "min" if less, "auto" to tell by its name.
        codings: by path of a variable, how it is rounded, in the place of what quality and data
            say.
        grids: by path of a variable, what its leading features lie on, such as `(28, 28)`, where it
            cannot be seen from the layers.
        compiled: bool, whether loss, metrics and optimizer settings go into the file.
        batch_size: int, for arrays.

    Returns:
        `PackReport`, which prints as a table.

    Raises:
        TypeError, ValueError: when an argument is out of range; nothing was written then.
        UnsupportedModelError: when the model could not be built again from a file, or its loss ties
            examples together; nothing was written then.
        ImportError: when the package constriction is missing.
        OSError: when the file cannot be written.

    Example:

    >>> model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
    >>> report = keras_snare.pack(model, "model.snare", quality=40)
    >>> model = keras_snare.unpack("model.snare")

    Reference:
        Wang et al., "CNNpack: Packing Convolutional Neural Networks in the Frequency Domain",
        NeurIPS 2016; Wiedemann et al., "DeepCABAC: A Universal Compression Algorithm for Deep
        Neural Networks", 2019; Frantar et al., "GPTQ: Accurate Post-Training Quantization for
        Generative Pre-trained Transformers", ICLR 2023.
    """
    check_count("batch_size", batch_size)
    some = quality, max_loss, data, validation_data, monitor, mode
    check(model, path, *some, codings, grids, compiled)
    configuration = configuration_of(model, compiled)
    variables = [Variable.of(one) for one in variables_of(model)]
    twin = twin_of(model, configuration)
    check_same(variables, twin)
    given = codings_by_key(codings or {}, variables)
    places = grids_of(model, dict(grids or {}))
    units = units_of(model)
    plain = PlainForms(variables, places, given, units)
    made = plain.at
    if data is not None:
        found = evidence(model, data, batch_size)
        made = SensitiveForms(variables, places, given, units, found).at

    def make(at: float | None) -> Packed:
        forms = plain.at(None) if at is None else made(at)
        return packed(configuration, variables, forms)

    write = _writing(variables, twin)
    shown = data if validation_data is None else validation_data
    if max_loss is None and validation_data is None:
        result = make(quality)
    else:
        measure = Measure(model, twin, write, shown, monitor, mode, batch_size)
        if max_loss is None:
            result = make(quality)
            result = measure.noted(result, measure.value(result.values))
        else:
            result = smallest_within(make, measure, max_loss)
    write_whole(path, result.content)
    return replace(result.report, path=str(path))


def _writing(variables: list[Variable], twin: Any) -> Callable[[list[Any]], None]:
    """Gives a model the values of another, and returns what gives it others."""
    targets = variables_of(twin)

    def write(values: list[Any]) -> None:
        for target, value in zip(targets, values, strict=True):
            target.assign(value)
        if finish(twin):
            twin.test_function = None

    write([one.value for one in variables])
    return write
