"""The public names of the package, and what there is to say about each."""

import inspect
import re
from types import ModuleType

import keras_snare
from keras_snare import schedules


def is_ours(value):
    return getattr(value, "__module__", "").startswith("keras_snare")


def public_objects():
    """Every public function and class by its name, `quantize.to_litert` for one of a submodule."""
    found = {}

    def collect(module, prefix):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, ModuleType) and hasattr(value, "__all__"):
                collect(value, f"{prefix}{name}.")
            elif not isinstance(value, ModuleType):
                found[f"{prefix}{name}"] = value

    collect(keras_snare, "")
    found |= {
        f"schedules.{name}": value
        for name, value in vars(schedules).items()
        if inspect.isclass(value) and value.__module__ == schedules.__name__
    }
    return found


def methods_of(cls):
    """The public functions that our own classes give a class, by name: the one that is called."""
    found = {}
    for parent in cls.__mro__:
        for name, value in vars(parent).items() if is_ours(parent) else ():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            public = name == "__init__" or not name.startswith("_")
            if public and inspect.isfunction(function):
                found.setdefault(name, function)
    return found


def parameters_of(function):
    return [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in ("self", "cls")
    ]


def section(docstring, title):
    """The text below a heading of a docstring, None where it is missing."""
    found = re.search(rf"^{title}:\n(.*?)(?=^\S|\Z)", docstring, re.DOTALL | re.MULTILINE)
    return found and found[1]
