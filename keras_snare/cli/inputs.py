"""Models and functions that are named on the command line."""

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

_UNTRAINED = r"Skipping variable loading for optimizer .* has 2 variables\.\s*$"


def read_model(
    path: Path, code: Path | None, trusted: bool, *, compiled: bool = False
) -> keras.Model:
    """Returns the model of a file.

    Args:
        path: ends in `.keras` or `.h5`.
        code: a Python file that is run first, in which layers of the user's are registered.
        trusted: whether the file may hold Python code, as `Lambda` layers do.
        compiled: whether it is compiled as the file says.

    Raises:
        ValueError: when it is no model's file, or Keras cannot load it.
        OSError: when a file is missing.
    """
    check_file(path, "a model")
    if path.suffix not in (".keras", ".h5"):
        raise ValueError(f"Expected a model in a .keras or .h5 file. Received: {path}.")
    if code is not None:
        _run(code)
    try:
        with warnings.catch_warnings():
            # An optimizer that has not trained yet has the two variables of every one.
            warnings.filterwarnings("ignore", _UNTRAINED)
            return keras.models.load_model(path, compile=compiled, safe_mode=not trusted)
    except Exception as error:  # A broken file, or the user's code, may fail in any way.
        raise ValueError(
            f"Keras does not load {path}: {error} If layers of yours are missing, name the Python "
            "file that registers them with --code; if the file holds Python code of which you know "
            "the source, add --trust."
        ) from error


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


def check_file(path: Path, what: str) -> None:
    """Checks that a file is there.

    Raises:
        FileNotFoundError: when it is not.
    """
    if not path.is_file():
        raise FileNotFoundError(f"Expected {what} in {path}. Received: no such file.")


def _run(path: Path) -> Any:
    check_file(path, "Python code")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"Expected Python code in a .py file. Received: {path}.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # It is the user's code.
        raise ValueError(f"{path} failed: {type(error).__name__}: {error}") from error
    return module
