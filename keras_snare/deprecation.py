"""Public names and arguments are renamed in two steps: the older one warns before it goes."""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def renamed_names(module: str, renamed: Mapping[str, str], namespace: Mapping[str, Any]) -> Any:
    """Returns the `__getattr__` of a module some of whose public names have been renamed.

    Args:
        module: str, `__name__` of the module.
        renamed: the newer name for each older one.
        namespace: `globals()` of the module.

    Returns:
        A function of a name, which hands out the newer name's object with a `FutureWarning`.

    Raises:
        ValueError: when an older name is still defined, or a newer one is not.

    Example:

    >>> __getattr__ = renamed_names(__name__, {"cut": "shrink"}, globals())
    """
    for older, newer in renamed.items():
        if older in namespace or newer not in namespace:
            raise ValueError(
                f"Expected {module} to define {newer!r} and not {older!r}, which it replaces."
            )

    def find(name: str) -> Any:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} is now called {module}.{renamed[name]}; the older name will go.",
            FutureWarning,
            stacklevel=2,
        )
        return namespace[renamed[name]]

    return find


def renamed_arguments(**renamed: str) -> Callable[[Function], Function]:
    """Lets a function take arguments by the names that they once had.

    Args:
        **renamed: the newer name for each older one.

    Returns:
        A decorator. The function keeps its signature; an older name is handed on under the newer
        one, with a `FutureWarning`.

    Raises:
        ValueError: at the definition, when an older name is still an argument, or a newer one is
            not.

    Example:

    >>> @renamed_arguments(ratio="share")
    ... def remove(model, share): ...
    """

    def decorate(function: Function) -> Function:
        parameters = inspect.signature(function).parameters
        for older, newer in renamed.items():
            if older in parameters or newer not in parameters:
                raise ValueError(
                    f"Expected {function.__qualname__} to take {newer!r} and not {older!r}, which "
                    "it replaces."
                )

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for older in kwargs.keys() & renamed.keys():
                newer = renamed[older]
                if newer in kwargs or newer in list(parameters)[: len(args)]:
                    raise TypeError(
                        f"{function.__qualname__} takes `{newer}`, which was called `{older}`. "
                        "Received: both."
                    )
                warnings.warn(
                    f"The argument `{older}` of {function.__qualname__} is now called `{newer}`; "
                    "the older name will go.",
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[newer] = kwargs.pop(older)
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate
