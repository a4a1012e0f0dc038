"""Docstrings of public names: a first line, every argument, what comes back, an example."""

import inspect
import re

import keras
import pytest
from public import is_ours, parameters_of, public_objects, section

from keras_snare import ConnectionCriterion, Criterion

OBJECTS = {name: value for name, value in public_objects().items() if is_ours(value)}
ACTIVE = (keras.callbacks.Callback, keras.layers.Layer, Criterion, ConnectionCriterion)
# What users call; the rest they are handed, as reports, or catch, as errors.
CALLED = [
    name
    for name, value in OBJECTS.items()
    if inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, ACTIVE))
]

# An error takes its message.
DESCRIBED = [
    name
    for name, value in OBJECTS.items()
    if inspect.isfunction(value) or not issubclass(value, Exception)
]


@pytest.mark.parametrize("name", OBJECTS)
def test_it_begins_with_one_line(name):
    lines = (OBJECTS[name].__doc__ or "").splitlines()
    assert lines[0].endswith(".")
    assert lines[1:2] in ([], [""])


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_argument_is_described(name):
    described = section(inspect.getdoc(OBJECTS[name]) or "", "Args") or ""
    heads = re.findall(
        r"^ {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?:", described, re.MULTILINE
    )
    names = {one.strip("* ") for head in heads for one in head.split(",")}
    asked = {one.name for one in parameters_of(OBJECTS[name])} - {"args", "kwargs"}
    assert asked - names == set()


@pytest.mark.parametrize("name", [name for name in OBJECTS if inspect.isfunction(OBJECTS[name])])
def test_what_comes_back_is_described(name):
    returned = inspect.signature(OBJECTS[name]).return_annotation
    described = section(inspect.getdoc(OBJECTS[name]) or "", "Returns")
    assert (described is not None) == (returned not in (None, "None"))


@pytest.mark.parametrize("name", CALLED)
def test_it_has_an_example(name):
    assert ">>> " in (inspect.getdoc(OBJECTS[name]) or "")
