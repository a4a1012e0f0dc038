"""Models, data and functions that are named on the command line."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np


def read_model(path: Path, code: Path | None, trusted: bool) -> keras.Model:
    """Returns the model of a file.

    Args:
        path: ends in `.keras` or `.h5`.
        code: a Python file that is run first, in which layers of the user's are registered.
        trusted: whether the file may hold Python code, as `Lambda` layers do.

    Raises:
        ValueError: when it is no model's file, or Keras cannot load it.
        OSError: when a file is missing.
    """
    _check_file(path, "a model")
    if path.suffix not in (".keras", ".h5"):
        raise ValueError(f"Expected a model in a .keras or .h5 file. Received: {path}.")
    if code is not None:
        _run(code)
    try:
        return keras.models.load_model(path, compile=False, safe_mode=not trusted)
    except Exception as error:  # A broken file, or the user's code, may fail in any way.
        raise ValueError(
            f"Keras does not load {path}: {error} If layers of yours are missing, name the Python "
            "file that registers them with --code; if the file holds Python code of which you know "
            "the source, add --trust."
        ) from error


def read_arrays(given: str, model: keras.Model) -> Any:
    """Returns data for the inputs of a model.

    Args:
        given: a `.npz` file with arrays of the names of the model's inputs, or one that is called
            `x`; or `FILE.py:NAME`, a function without arguments that returns arrays, a
            `tf.data.Dataset` or batches.
        model: whose inputs are filled.

    Raises:
        ValueError: when it is none of these.
        OSError: when a file is missing.
    """
    if not given.endswith(".npz"):
        return function_of(given, "data in an .npz file or")()
    path = Path(given)
    _check_file(path, "data")
    names = [one.name for one in model.inputs]
    try:
        # Pickled objects, which can run code, are refused.
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
    except Exception as error:  # What is no zip file fails in many ways.
        raise ValueError(f"Expected arrays in {path}. Received: {error}.") from error
    if set(names) <= set(held):
        return [held[name] for name in names]
    if len(names) == 1 and "x" in held:
        return held["x"]
    wanted = "'x', or " if len(names) == 1 else ""
    raise ValueError(
        f"Expected {path} to hold {wanted}the model's inputs {', '.join(map(repr, names))}. "
        f"Received: {', '.join(map(repr, held)) or 'nothing'}."
    )


def function_of(given: str, expected: str = "") -> Callable[..., Any]:
    """Returns a function of a Python file.

    Args:
        given: `FILE.py:NAME`.
        expected: what else would have done, for the error.

    Raises:
        ValueError: when there is no such function, or running the file fails.
        OSError: when the file is missing.
    """
    path, _, name = given.rpartition(":")
    if not path.endswith(".py"):
        raise ValueError(
            f"Expected {expected} a function as FILE.py:NAME. Received: {given}.".replace("  ", " ")
        )
    found = getattr(_run(Path(path)), name, None)
    if not callable(found):
        raise ValueError(f"Expected a function {name!r} in {path}. Received: {found!r}.")
    return found


def _run(path: Path) -> Any:
    _check_file(path, "Python code")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"Expected Python code in a .py file. Received: {path}.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # It is the user's code.
        raise ValueError(f"{path} failed: {type(error).__name__}: {error}") from error
    return module


def _check_file(path: Path, what: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"Expected {what} in {path}. Received: no such file.")
