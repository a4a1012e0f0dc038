"""Every public function and method has a hint for each argument and for what it returns."""

import inspect

import pytest
from public import is_ours, methods_of, parameters_of, public_objects

OBJECTS = {name: value for name, value in public_objects().items() if is_ours(value)}


def functions_of(value):
    if inspect.isclass(value):
        return methods_of(value)
    return {value.__name__: value} if inspect.isfunction(value) else {}


def without_hints(function):
    missing = [
        parameter.name
        for parameter in parameters_of(function)
        if parameter.annotation is inspect.Parameter.empty
    ]
    if inspect.signature(function).return_annotation is inspect.Signature.empty:
        missing.append("return")
    return missing


@pytest.mark.parametrize("name", OBJECTS)
def test_hints_are_complete(name):
    missing = {one: without_hints(f) for one, f in functions_of(OBJECTS[name]).items()}
    assert {one: found for one, found in missing.items() if found} == {}


def test_a_missing_hint_is_seen():
    def function(model, share: float):
        return model

    assert without_hints(function) == ["model", "return"]
