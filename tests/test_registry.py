"""Name tables."""

import pytest

from keras_snare.registry import Registry


@pytest.fixture
def registry():
    made = Registry("policy")
    made.register("b", 1)
    made.register("a", 2)
    return made


def test_get_and_names(registry):
    assert registry.get("b") == 1
    assert registry.names() == ["a", "b"]


def test_the_same_entry_twice_is_fine(registry):
    registry.register("b", 1)
    assert registry.names() == ["a", "b"]


def test_a_taken_name(registry):
    with pytest.raises(ValueError, match="A policy named 'b' is registered already. Choose"):
        registry.register("b", 3)
    assert registry.get("b") == 1


@pytest.mark.parametrize("name", ["", None, 3, ("a",)], ids=str)
def test_a_bad_name(registry, name):
    with pytest.raises(ValueError, match="A policy is registered under a non-empty string"):
        registry.register(name, 3)


def test_an_unknown_name(registry):
    with pytest.raises(ValueError, match="Unknown policy. Received: 'c'. Known: a, b."):
        registry.get("c")


def test_tables_are_apart(registry):
    assert Registry("policy").names() == []
