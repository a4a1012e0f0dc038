"""Packages that only some features need."""

import importlib
from typing import Any


def require(module: str, extra: str, purpose: str) -> Any:
    """Imports a module of an optional package.

    Args:
        module: str, such as `"matplotlib.figure"`.
        extra: str, the extra of this package that brings it.
        purpose: str, what needs it, as the beginning of a sentence in the plural.

    Returns:
        The module.

    Raises:
        ImportError: when its package is missing; it names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{purpose} need the package {package}. Received: none installed. Install it with "
            f"pip install keras-snare[{extra}]."
        ) from error
