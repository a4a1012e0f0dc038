"""The arguments of `pack`, checked before anything is done."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_snare.arguments import check_flag, is_number
from keras_snare.codec.bit_stream import coders
from keras_snare.codec.coding import Coding
from keras_snare.codec.configuration import (
    configuration_of,
    drawing_nothing,
    twin_of,
    variables_of,
)
from keras_snare.codec.forms import TYPES
from keras_snare.codec.grids import check_grids, named
from keras_snare.codec.target import HIGHEST, LOWEST, check_target
from keras_snare.codec.writing import Variable
from keras_snare.criteria import check_data
from keras_snare.errors import UnsupportedModelError


def check(
    model: Any,
    path: Any,
    quality: Any,
    max_loss: Any,
    data: Any,
    validation_data: Any,
    monitor: Any,
    mode: Any,
    codings: Any,
    grids: Any,
    compiled: Any,
) -> None:
    """Checks all arguments of `pack` that can be judged without looking at the variables.

    Raises:
        TypeError, ValueError: when one is out of range, or they do not suit each other.
        UnsupportedModelError: when the model is not built.
        ImportError: when the package that codes is missing.
    """
    _check_model(model, path)
    _check_paths(codings, grids)
    if quality is not None and not (is_number(quality) and LOWEST <= quality <= HIGHEST):
        raise ValueError(
            f"`quality` is a number from 1 to 100, or None. Received: quality={quality!r}"
        )
    check_target(max_loss, mode)
    check_flag("compiled", compiled)
    for name, one in (("data", data), ("validation_data", validation_data)):
        if one is not None:
            check_data(one, name, True)
    needs = data is not None or validation_data is not None
    if needs and not model.compiled:
        raise ValueError(
            "Data are looked at with the loss and the metrics of a compiled model. Received: "
            f"{model.name!r}, which is not. Call model.compile(loss=..., metrics=[...])."
        )
    if max_loss is not None and (quality is not None or not needs):
        raise ValueError(
            "`max_loss` finds a quality on `validation_data` or `data`. Received: "
            f"quality={quality!r} and {'data' if needs else 'no data'}. Give data, and leave out "
            "`quality`."
        )
    if data is not None and quality is None and max_loss is None:
        raise ValueError(
            "`data` tell how to round. Received: neither `quality` nor `max_loss`, with which "
            "nothing is rounded. Give one of them, or leave out `data`."
        )
    if mode != "auto" and max_loss is None and validation_data is None:
        raise ValueError(
            f"`mode` says which way `monitor` is better. Received: mode={mode!r}, without data on "
            "which it would be looked at. Give `validation_data`, or leave it out."
        )
    if monitor is not None and max_loss is None and validation_data is None:
        raise ValueError(
            f"`monitor` is looked at on `validation_data`. Received: monitor={monitor!r} and none. "
            "Give them, or leave it out."
        )


@drawing_nothing()
def check_packable(model: Any, path: Any) -> None:
    """Checks that `pack` will write a model to a path.

    Raises:
        TypeError, ValueError, UnsupportedModelError, ImportError: as `pack`.
    """
    _check_model(model, path)
    again = twin_of(model, configuration_of(model, False))
    check_same([Variable.of(one) for one in variables_of(model)], again)


def codings_by_key(given: Mapping[str, Any], variables: list[Variable]) -> dict[int, Coding]:
    """Returns the argument `codings` by the keys of variables.

    Raises:
        ValueError: when there is not one such variable, or it is not rounded so.
    """
    found = {}
    for path, coding in given.items():
        if not isinstance(coding, Coding):
            raise ValueError(
                f"`codings` are objects of Coding by the path of a variable. Received: {coding!r} "
                f"for {path!r}."
            )
        variable = named(path, variables, "codings")
        if not keras.backend.is_float_dtype(variable.value.dtype.name):
            raise ValueError(
                f"Only floating-point variables are rounded. Received: a coding of {path!r}, which "
                f"is {variable.value.dtype}. Leave it out."
            )
        found[variable.key] = coding
    return found


def check_same(variables: list[Variable], twin: Any) -> None:
    """Checks that a configuration gives the variables of the model.

    Raises:
        UnsupportedModelError: when it gives others.
    """
    for one in variables:
        if one.value.dtype.name not in TYPES:
            raise UnsupportedModelError(
                f"Expected variables of the types {', '.join(TYPES)}. Received: {one.path!r}, of "
                f"{one.value.dtype}. Use keras_snare.save_model for the model."
            )
    expected = [(one.value.shape, one.value.dtype) for one in variables]
    again = [Variable.of(one).value for one in variables_of(twin)]
    if [(one.shape, one.dtype) for one in again] != expected:
        raise UnsupportedModelError(
            f"Expected a model that its configuration describes. Received: {twin.name!r}, whose "
            "configuration gives other variables. Build it with the functional API."
        )


def _check_paths(codings: Any, grids: Any) -> None:
    check_grids(grids)
    if not isinstance(codings, (Mapping, type(None))):
        raise TypeError(
            "`codings` is a dictionary from paths of variables to their Coding, or None. Received: "
            f"codings={codings!r}"
        )


def _check_model(model: Any, path: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` is a Keras 3 model. Received: {type(model).__name__}")
    if not model.built:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built, so it has no weights to pack. Give it a "
            "keras.Input, or call model.build(input_shape)."
        )
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"`path` is the path of a file. Received: path={path!r}")
    if not Path(path).absolute().parent.is_dir():
        raise ValueError(f"The folder of `path` exists. Received: path={str(path)!r}")
    if not Path(path).name or Path(path).is_dir():
        raise ValueError(
            f"`path` is that of a file, such as 'model.snare', and no folder. Received: "
            f"path={str(path)!r}"
        )
    coders()
