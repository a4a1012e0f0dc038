"""Wrong use of `prune` is refused with a reason, and nothing changes."""

import keras
import models
import numpy as np
import pytest
from pruning import data, network
from state import assert_same_state, state_of

import keras_snare

layers = keras.layers


class Broken(keras_snare.Criterion):
    def __init__(self, scores):
        self.scores = scores

    def score(self, channels):
        return self.scores


X, Y = data()
WRONG = {
    "amount of 0": ({"amount": 0}, ValueError, r"between 0 and 1\. Received: amount=0"),
    "amount of 1": ({"amount": 1.0}, ValueError, r"Received: amount=1\.0"),
    "negative amount": ({"amount": -0.5}, ValueError, r"Received: amount=-0\.5"),
    "amount not a number": ({"amount": float("nan")}, ValueError, "Received: amount=nan"),
    "amount as text": ({"amount": "half"}, ValueError, "Received: amount='half'"),
    "amount as truth value": ({"amount": True}, ValueError, "Received: amount=True"),
    "scope": ({"scope": "all"}, ValueError, "is one of local, global. Received: scope='all'"),
    "unknown normalization": (
        {"normalize": "l2"},
        ValueError,
        "Unknown normalization. Received: 'l2'. Known: gaussian, max, mean, none, range, rank, rms",
    ),
    "normalization of another kind": (
        {"normalize": 2},
        TypeError,
        "`normalize` is a name .*or a function from the scores of a layer.*Received: 2",
    ),
    "normalization in the local scope": (
        {"normalize": "mean", "scope": "local"},
        ValueError,
        "nothing to normalize. Received: normalize='mean', scope='local'. Leave `normalize` out",
    ),
    "normalization to another shape": (
        {"normalize": sum},
        ValueError,
        r"one figure per score, none NaN\. Expected .* the shape \(8,\)\. Received: array",
    ),
    "round_to of 0": ({"round_to": 0}, ValueError, "Received: round_to=0"),
    "broken round_to": ({"round_to": 2.5}, ValueError, r"Received: round_to=2\.5"),
    "round_to as truth value": ({"round_to": True}, ValueError, "Received: round_to=True"),
    "scope as array": ({"scope": np.ones(2)}, ValueError, r"Received: scope=array\("),
    "fold_constants": (
        {"fold_constants": "yes"},
        ValueError,
        "`fold_constants` is True or False. Received: 'yes'",
    ),
    "unknown criterion": (
        {"criterion": "l3"},
        ValueError,
        "Unknown criterion. Received: 'l3'. Known: activation, apoz",
    ),
    "criterion of another kind": ({"criterion": 3}, TypeError, "`criterion` is a name .*: 3"),
    "no data": ({"criterion": "activation"}, ValueError, r"looks at data\. Received: data=None"),
    "iterator": (
        {"criterion": "activation", "data": iter([X])},
        ValueError,
        "Received an iterator .*which can be read once",
    ),
    "no labels": ({"criterion": "taylor", "data": (X,)}, ValueError, "needs labelled data"),
    "no examples": (
        {"criterion": "activation", "data": (X[:0], Y[:0])},
        ValueError,
        "Received: none. Give at least one",
    ),
    "data of another kind": (
        {"criterion": "activation", "data": 3},
        ValueError,
        "`data` is .* arrays, .* Received: int",
    ),
    "class of no layers": ({"layers": int}, TypeError, "`layers` is .*Received: <class 'int'>"),
    "layer that is not there": (
        {"layers": "wid"},
        ValueError,
        "matches no layer whose units can be cut. Received: 'wid'. Layers that can be cut: wide, n",
    ),
    "layer that cannot be cut": ({"layers": "last"}, ValueError, "Received: 'last'"),
    "layers of another kind": ({"layers": [3]}, TypeError, "`layers` is a layer name.*: 3"),
    "broken expression": ({"layers": "wide("}, ValueError, r"regular expression.*wide\("),
    "scores not a number": (
        {"criterion": Broken(np.full(8, np.nan)), "layers": "wide"},
        ValueError,
        "returned NaN for layer 'wide'",
    ),
    "too few scores": (
        {"criterion": Broken(np.ones(3)), "layers": "wide"},
        ValueError,
        r"for layer 'wide' the shape \(8,\)\. Received: \(3,\)",
    ),
}


def test_numbers_of_numpy_are_numbers():
    model, other = network(), network()
    report = keras_snare.prune(model, np.float32(0.5), round_to=np.int64(2), scope="local")
    assert report == keras_snare.prune(other, 0.5, round_to=2, scope="local")
    assert [change.after for change in report.changes] == [4, 2]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_refused_and_nothing_changes(arguments, error, message):
    model = network(compiled=True)
    before = state_of(model)
    with pytest.raises(error, match=message):
        keras_snare.prune(model, **{"amount": 0.5, **arguments})
    assert_same_state(state_of(model), before)


def test_taylor_needs_a_loss():
    with pytest.raises(ValueError, match=r"needs gradients of the loss\. Call model\.compile"):
        keras_snare.prune(network(), 0.5, criterion="taylor", data=data())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.chain((2,), layers.Dense(3, name="last")), "last: its width is the model"),
        (lambda: models.chain((2,), layers.ReLU()), "no such layer"),
        (lambda: keras.Sequential([layers.Dense(3)]), "has no graph yet"),
    ],
    ids=["output only", "no units", "not built"],
)
def test_models_without_anything_to_cut_are_refused(build, message):
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.prune(build(), 0.5)
