"""Names for criteria, and criteria of users."""

import numpy as np
import pytest
from training import dense_model

import keras_snare
from keras_snare.criteria import CRITERIA, TaylorCriterion, get_criterion


class FirstUnits(keras_snare.Criterion):
    """Removes the units with the highest numbers first."""

    def score(self, channels):
        return -np.arange(channels.width)


@pytest.fixture
def _criteria_as_before(monkeypatch):
    monkeypatch.setattr(CRITERIA, "_entries", dict(CRITERIA._entries))


def test_the_criteria_of_the_package():
    expected = [
        *("activation", "apoz", "batchnorm_scale", "fisher", "fpgm", "hessian"),
        *("l1_both", "l1_in", "l1_out", "l2", "obd", "random", "similarity"),
        *("synflow", "taylor"),
    ]
    assert CRITERIA.names() == expected
    for name in expected:
        assert type(get_criterion(name)) is CRITERIA.get(name)


@pytest.mark.usefixtures("_criteria_as_before")
def test_a_registered_class_is_taken_by_name():
    keras_snare.register_criterion("first_units", FirstUnits)
    model = dense_model()
    report = keras_snare.prune(model, 0.5, criterion="first_units", scope="local")
    assert report.plan.keep == {"hidden1": (0, 1, 2), "hidden2": (0, 1, 2)}


def test_an_object_is_taken_as_it_is():
    criterion = FirstUnits()
    assert get_criterion(criterion) is criterion


@pytest.mark.usefixtures("_criteria_as_before")
def test_registering_twice_is_fine_and_another_class_is_not():
    keras_snare.register_criterion("first_units", FirstUnits)
    keras_snare.register_criterion("first_units", FirstUnits)
    with pytest.raises(ValueError, match="criterion named 'first_units' is registered already"):
        keras_snare.register_criterion("first_units", TaylorCriterion)


@pytest.mark.parametrize("wrong", [FirstUnits(), "FirstUnits", int, None])
def test_only_classes_of_criteria_are_registered(wrong):
    with pytest.raises(TypeError, match="Register the class of a criterion, a subclass"):
        keras_snare.register_criterion("wrong", wrong)


@pytest.mark.parametrize("name", ["", 3])
def test_a_name_is_a_string(name):
    with pytest.raises(ValueError, match="A criterion is registered under a non-empty string"):
        keras_snare.register_criterion(name, FirstUnits)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="Unknown criterion. Received: 'tailor'.*l1_in.*taylor"):
        get_criterion("tailor")


@pytest.mark.parametrize("wrong", [3, None, FirstUnits, ["taylor"]], ids=str)
def test_something_else_is_no_criterion(wrong):
    with pytest.raises(
        TypeError, match="`criterion` is a name .*l1_in.* or a keras_snare.Criterion"
    ):
        get_criterion(wrong)


class Weighted(FirstUnits):
    def __init__(self, weight):
        self.weight = weight


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [(keras_snare.Criterion, "it does not implement `score`"), (Weighted, "'weight'")],
    ids="abstract arguments".split(),
)
def test_a_class_that_is_not_made_without_arguments_is_refused(wrong, reason):
    message = rf"made without arguments. Received: <class .*> \(.*{reason}.*\). Give its arguments"
    with pytest.raises(TypeError, match=message):
        keras_snare.register_criterion("wrong", wrong)
    assert "wrong" not in CRITERIA.names()


def test_a_criterion_without_score_cannot_be_made():
    class Nothing(keras_snare.Criterion):
        pass

    with pytest.raises(TypeError, match="score"):
        Nothing()
