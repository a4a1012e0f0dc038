"""A callback in the form in which it was made."""

import inspect
from typing import Any


def described(callback: Any, always: str) -> str:
    """Returns the call that makes a callback like this one, without the arguments left at default.

    Args:
        callback: keeps each argument of its constructor as an attribute.
        always: the argument that is told in any case.
    """
    defaults = inspect.signature(type(callback)).parameters
    given = {name: getattr(callback, name) for name in defaults}
    changed = [
        f"{name}={value!r}"
        for name, value in given.items()
        if name == always or not _same(value, defaults[name].default)
    ]
    return f"{type(callback).__name__}({', '.join(changed)})"


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default
