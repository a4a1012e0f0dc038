"""LiteRT's interpreter: LiteRT's own package where it is installed, else TensorFlow's."""

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_snare.errors import UnsupportedModelError


def interpreter_of(content: bytes) -> Any:
    """Returns a LiteRT interpreter for a file, ready to run."""
    interpreter = unallocated(content)
    interpreter.allocate_tensors()
    return interpreter


def _kind() -> Any:
    try:
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError:
        import tensorflow as tf

        return tf.lite.Interpreter


def unallocated(content: bytes, num_threads: int | None = None) -> Any:
    """Returns a LiteRT interpreter for a file that is yet to be given the shapes of its inputs.

    Args:
        content: the file.
        num_threads: int, how many threads it may use; None leaves the choice to LiteRT.
    """
    with without_warnings():
        return _kind()(model_content=content, num_threads=num_threads)


def check_integers(content: bytes, named: Callable[[list[str]], list[str]], cure: str) -> None:
    """Checks that a file computes with integers only; its inputs and outputs may be floats.

    Args:
        content: the file.
        named: function from the names of tensors to those of the layers that made them.
        cure: str, what the user can do about it, for the message.

    Raises:
        UnsupportedModelError: when something inside is left in float.
    """
    interpreter = unallocated(content)
    ends = interpreter.get_input_details() + interpreter.get_output_details()
    outside = {one["index"] for one in ends}
    left = [
        one["name"]
        for one in interpreter.get_tensor_details()
        if np.issubdtype(one["dtype"], np.floating) and one["index"] not in outside
    ]
    if left:
        raise UnsupportedModelError(
            "Expected a file in which everything is an integer. Received: tensors in float in "
            f"{', '.join(named(left) or left)}. {cure}"
        )


@contextmanager
def without_warnings() -> Iterator[None]:
    """TensorFlow warns of what is meant here: no statistics of inputs, an old interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
