"""The arguments of a call as text, so that a configuration can hold them."""

import json
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import is_number, is_whole


@dataclass(frozen=True)
class Tensor:
    """The place of an input among the arguments.

    Args:
        number: int, which input it is.
    """

    number: int


def stored(args: Any, kwargs: dict[str, Any]) -> str:
    """Writes arguments as text.

    Raises:
        TypeError: when one of them is neither a number, a text, an array, a slice, None, nor made
            of these.
    """
    return json.dumps({"args": _written(list(args)), "kwargs": _written_items(kwargs)})


def filled(text: str, tensors: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Reads arguments from text, with tensors in their places."""
    read = json.loads(text)
    kwargs = {name: _read(value, tensors) for name, value in read["kwargs"].items()}
    return _read(read["args"], tensors), kwargs


def _written_items(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _written(value) for name, value in values.items()}


def _written(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Tensor):
        return {"tensor": value.number}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, slice):
        return {"slice": [_written(one) for one in (value.start, value.stop, value.step)]}
    if isinstance(value, tuple):
        return {"tuple": [_written(one) for one in value]}
    if isinstance(value, list):
        return [_written(one) for one in value]
    if is_number(value):
        return int(value) if is_whole(value) else float(value)
    if isinstance(value, keras.Variable):
        raise TypeError(f"variable {value.path!r}, whose training nothing would follow")
    if isinstance(value, (np.ndarray, np.generic)) or keras.ops.is_tensor(value):
        array = keras.ops.convert_to_numpy(value)
        return {"array": array.tolist(), "dtype": array.dtype.name}
    raise TypeError(f"{value!r} ({type(value).__name__})")


def _read(value: Any, tensors: list[Any]) -> Any:
    if isinstance(value, list):
        return [_read(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "ellipsis" in value:
        return Ellipsis
    if "slice" in value:
        return slice(*value["slice"])
    if "tuple" in value:
        return tuple(_read(value["tuple"], tensors))
    return np.array(value["array"], value["dtype"])
