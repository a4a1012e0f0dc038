"""A packed file as a model."""

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import check_count
from keras_snare.codec.bit_stream import BitReader
from keras_snare.codec.configuration import (
    count_of,
    decompressed,
    finish,
    model_of,
    numbers_of,
    stated,
    variables_of,
)
from keras_snare.codec.container import Container, Cursor
from keras_snare.codec.forms import read_form
from keras_snare.codec.writing import Variable
from keras_snare.errors import CodecError


def unpack(path: str | os.PathLike[str], *, max_numbers: int = 2**28) -> Any:
    """Returns the model in a file that `pack` wrote, with the weights that `pack` had evaluated.

    The weights are the same to the last bit on every machine. Files from anywhere may be read:
    nothing in them is run. They can have memory used for as many numbers as `max_numbers` allows,
    at most 50 bytes for each beside the variables, and a few hundred megabytes; and time for 2,000
    layers.

    Args:
        path: of the file.
        max_numbers: int, the most numbers that the model's variables may have together. Files of
            people whom you do not know are best read with the size of the models that you expect.

    Returns:
        A Keras model; compiled, if the file says how.

    Raises:
        CodecError: when the file is damaged, no packed file, or asks for more than is allowed.
        ImportError: when the package constriction is missing.
        OSError: when it cannot be read.
        ValueError: when `max_numbers` is no integer of 1 or more.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> report = keras_snare.pack(model, "model.snare")
    >>> keras_snare.unpack("model.snare").count_params()
    36
    """
    check_count("max_numbers", max_numbers)
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"Expected a packed file. Received: {os.fspath(path)}, where no file is. Give the path "
            "of one that keras_snare.pack wrote."
        )
    return unpacked(Path(path).read_bytes(), max_numbers)


def unpacked(content: bytes, max_numbers: int) -> Any:
    """Returns the model in the bytes of a file.

    Raises:
        CodecError: see `unpack`.
    """
    container = Container.from_bytes(content)
    if container.numbers > max_numbers:
        raise CodecError(
            f"Expected {max_numbers} numbers at most. Received: {container.numbers} declared. If "
            "the file comes from a source you trust, raise `max_numbers`."
        )
    configuration = decompressed(container.configuration, container.configuration_size)
    state = stated(configuration)
    found = numbers_of(state)
    if found != container.numbers:
        raise CodecError(
            f"Expected a model with the {container.numbers} numbers that are declared. Received: "
            f"one with {found}. The file is damaged."
        )
    model = model_of(stated(configuration))
    _read_variables(container, variables_of(model))
    finish(model)
    return model


def _read_variables(container: Container, variables: list[Any]) -> None:
    if sum(map(count_of, variables)) != container.numbers:
        raise CodecError("Expected the same model twice. Received: two. The file is damaged.")
    cursor, reader = Cursor(container.descriptions), BitReader(container.coded)
    for variable in variables:
        before = Variable.of(variable).value
        form, dtype = read_form(cursor, before.shape)
        value = form.code(reader, before.shape, dtype)
        variable.assign(_converted(value, before.dtype, variable.path))
    cursor.check_end()
    reader.check_end()


def _converted(value: np.ndarray, dtype: np.dtype, path: str) -> np.ndarray:
    """Returns numbers in the type that a variable has here; backends differ in that of integers.

    Raises:
        CodecError: when they would not be the same numbers.
    """
    if value.dtype == dtype:
        return value
    kinds = {keras.backend.is_float_dtype(one.name) for one in (value.dtype, dtype)}
    with np.errstate(all="ignore"):
        found = value.astype(dtype)
        again = found.astype(value.dtype)
    same = (again == value) & ((found < 0) == (value < 0)) | (value != value)
    if len(kinds) > 1 or not same.all():
        raise CodecError(
            f"Expected numbers for {path!r} that {dtype} holds, which the variable has with "
            f"{keras.backend.backend()}. Received: others, of {value.dtype}. Read the file with "
            "the backend that it was written with, or fetch it again."
        )
    return found
