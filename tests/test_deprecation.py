"""Renamed names and arguments: the older one works, and says what to use."""

import inspect
import types

import pytest

import keras_snare
from keras_snare.deprecation import renamed_arguments, renamed_names


@pytest.fixture
def module():
    made = types.ModuleType("made")
    vars(made).update(newer=[1, 2])
    made.__getattr__ = renamed_names("made", {"older": "newer"}, vars(made))
    return made


def test_older_name_is_the_newer_one_with_a_warning_at_the_users_line(module):
    with pytest.warns(FutureWarning, match=r"made\.older is now called made\.newer") as seen:
        assert module.older is module.newer
    assert seen[0].filename == __file__


def test_newer_name_does_not_warn(module):
    assert module.newer == [1, 2]


def test_unknown_name_is_the_usual_error(module):
    with pytest.raises(AttributeError, match="module 'made' has no attribute 'other'"):
        _ = module.other
    assert not hasattr(keras_snare, "no_such_name")


@pytest.mark.parametrize("namespace", [{}, {"newer": 1, "older": 2}])
def test_a_wrong_table_of_names_is_seen_at_import(namespace):
    with pytest.raises(ValueError, match="made to define 'newer' and not 'older'"):
        renamed_names("made", {"older": "newer"}, namespace)


@renamed_arguments(ratio="share", net="model")
def remove(model, share=0.5, *, seed=None):
    """Removes."""
    return model, share, seed


def test_older_argument_is_handed_on_with_a_warning_at_the_users_line():
    with pytest.warns(FutureWarning, match="`ratio` of remove is now called `share`") as seen:
        assert remove("model", ratio=0.25, seed=1) == ("model", 0.25, 1)
    assert seen[0].filename == __file__
    with pytest.warns(FutureWarning) as seen:
        assert remove(net="model", ratio=0.1) == ("model", 0.1, None)
    assert len(seen) == 2


def test_newer_arguments_do_not_warn_and_the_signature_stays():
    assert remove("model", 0.25, seed=2) == ("model", 0.25, 2)
    assert list(inspect.signature(remove).parameters) == ["model", "share", "seed"]
    assert (remove.__name__, remove.__doc__) == ("remove", "Removes.")


@pytest.mark.parametrize(("args", "kwargs"), [((), {"share": 1, "model": 0}), ((0, 1), {})])
def test_both_names_at_once_are_refused(args, kwargs):
    with pytest.raises(TypeError, match="takes `share`, which was called `ratio`. Received: both"):
        remove(*args, **kwargs, ratio=0.5)


@pytest.mark.parametrize("renamed", [{"model": "share"}, {"ratio": "portion"}])
def test_a_wrong_table_of_arguments_is_seen_at_the_definition(renamed):
    with pytest.raises(ValueError, match="which it replaces"):

        @renamed_arguments(**renamed)
        def function(model, share):
            raise AssertionError("is not called")
