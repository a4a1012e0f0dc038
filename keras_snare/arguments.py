"""Kinds of arguments that several parts take."""

import numbers
from typing import Any


def is_number(value: Any) -> bool:
    """Tells whether a value is a real number, Python's or NumPy's; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Tells whether a value is an integer, Python's or NumPy's; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_count(name: str, value: Any, *, optional: bool = False) -> None:
    """Checks an argument that counts something.

    Args:
        name: of the argument.
        value: what was given.
        optional: whether None is allowed too.

    Raises:
        ValueError: when it is no positive integer.
    """
    if not (optional and value is None) and (not is_whole(value) or value < 1):
        or_none = ", or None" if optional else ""
        raise ValueError(f"`{name}` is an integer, 1 or more{or_none}. Received: {name}={value!r}")


def check_flag(name: str, value: Any) -> None:
    """Checks an argument that switches something.

    Raises:
        ValueError: when it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` is True or False. Received: {value!r}")
