"""`prune`: one cut, whole."""

import json
import re

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from state import assert_same_state, state_of

import keras_snare

layers = keras.layers


def network(compiled=False):
    """Two hidden layers of 8 and 4 units whose `l1_in` scores grow with the index of the unit."""
    model = models.chain(
        (2,),
        layers.Dense(8, "relu", name="wide"),
        layers.Dense(4, "relu", name="narrow"),
        layers.Dense(3, name="last"),
    )
    for layer in model.layers:
        inputs, units = layer.kernel.shape
        layer.kernel.assign(np.tile(np.arange(1, units + 1) / 10, (inputs, 1)))
    if compiled:
        model.compile("sgd", "mse", run_eagerly=True)
    return model


def data(size=20, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(size, 2)), random.normal(size=(size, 3))


def widths(model):
    return [layer.units for layer in model.layers]


def kept_scores(model):
    """The first row of the first kernel, which tells the units apart."""
    return (model.get_layer("wide").kernel.numpy()[0] * 10).round().astype(int).tolist()


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(0.1, [8, 4, 3]), (0.25, [6, 3, 3]), (0.5, [4, 2, 3]), (0.9, [1, 1, 3]), (0.99, [1, 1, 3])],
)
def test_local_scope_takes_the_share_of_each_layer(amount, expected):
    model = network()
    keras_snare.prune(model, amount, scope="local")
    assert widths(model) == expected


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(0.05, [8, 4, 3]), (0.25, [6, 3, 3]), (0.5, [4, 2, 3]), (0.99, [1, 1, 3])],
)
def test_global_scope_takes_the_share_of_all_units(amount, expected):
    # Divided by their root mean square, the scores of 1..8 and 1..4 are shared out evenly.
    model = network()
    keras_snare.prune(model, amount)
    assert widths(model) == expected


def test_global_scope_takes_more_where_units_matter_less():
    model = network()
    kernel = np.ones((2, 8))
    kernel[:, :6] = 1e-3
    model.get_layer("wide").kernel.assign(kernel)
    model.get_layer("narrow").kernel.assign(np.ones((8, 4)))
    keras_snare.prune(model, 0.5)
    assert widths(model) == [2, 4, 3]


def test_units_with_the_lowest_scores_go():
    model = network()
    keras_snare.prune(model, 0.5, scope="local")
    assert kept_scores(model) == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("round_to", "expected"),
    [(None, [4, 2, 3]), (1, [4, 2, 3]), (3, [6, 3, 3]), (4, [4, 4, 3]), (5, [5, 4, 3])],
)
def test_widths_stay_multiples(round_to, expected):
    model = network()
    keras_snare.prune(model, 0.5, scope="local", round_to=round_to)
    assert widths(model) == expected


LAYERS = {
    "name": ("wide", [4, 4, 3]),
    "names": (["wide", "narrow"], [4, 2, 3]),
    "set": ({"narrow"}, [8, 2, 3]),
    "expression": ("w.*", [4, 4, 3]),
    "compiled expression": (re.compile("n.rr.w"), [8, 2, 3]),
    "class": (layers.Dense, [4, 2, 3]),
    "predicate": (lambda layer: layer.units == 4, [8, 2, 3]),
    "several kinds": (["wide", lambda layer: layer.name == "narrow"], [4, 2, 3]),
}


@pytest.mark.parametrize(("chosen", "expected"), LAYERS.values(), ids=LAYERS)
def test_only_chosen_layers_are_cut(chosen, expected):
    model = network()
    keras_snare.prune(model, 0.5, scope="local", layers=chosen)
    assert widths(model) == expected


def test_coupled_layers_are_chosen_by_any_of_them():
    model = models.build("residual")
    report = keras_snare.prune(model, 0.4, scope="local", layers="branch")
    assert [change.layer for change in report.changes] == ["stem"]
    assert model.get_layer("stem").filters == model.get_layer("branch").filters == 3
    assert model.get_layer("inner").filters == 4


def test_report_says_what_the_cut_did():
    model = network()
    before = keras_snare.cost(model)
    report = keras_snare.prune(model, 0.5, scope="local")
    after = keras_snare.cost(model)
    assert (report.params_before, report.params_after) == (before.params, after.params)
    assert (report.flops_before, report.flops_after) == (before.flops, after.flops)
    assert report.params_after == model.count_params()
    assert report.params_ratio == pytest.approx(before.params / after.params)
    assert [(one.layer, one.before, one.after) for one in report.changes] == [
        ("wide", 8, 4),
        ("narrow", 4, 2),
    ]
    assert json.loads(report.to_json())["keep"] == {"wide": [4, 5, 6, 7], "narrow": [2, 3]}
    assert str(report).splitlines()[:2] == ["wide: 8 -> 4", "narrow: 4 -> 2"]


@pytest.mark.parametrize("name", ["residual", "partly_coupled", "concatenated", "shared_dense"])
def test_plan_of_the_report_makes_the_same_cut(name):
    model, copy = models.build(name), models.build(name)
    report = keras_snare.prune(model, 0.5)
    keras_snare.shrink(copy, report.plan)
    for one, other in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", models.SMALL)
@pytest.mark.parametrize("scope", ["local", "global"])
def test_every_layer_keeps_a_unit(name, scope):
    model = models.build(name)
    keras_snare.prune(model, 0.99, scope=scope)
    assert min(min(weight.shape) for weight in model.weights) >= 1
    type(model).from_config(model.get_config())


@pytest.mark.parametrize("criterion", ["l1_in", "l1_out", "l1_both", "random"])
def test_criteria_on_weights_need_no_data(criterion):
    model = network()
    keras_snare.prune(model, 0.5, criterion=criterion)
    assert sum(widths(model)) == 4 + 2 + 3


def silent_units(model):
    """Makes units 1 and 6 of the first layer unheard."""
    kernel = model.get_layer("narrow").kernel.numpy() + 0.3
    kernel[[1, 6]] = 0.0
    model.get_layer("narrow").kernel.assign(kernel)


FORMS = {
    "arrays": lambda x, y: (x, y),
    "list": lambda x, y: [x, y],
    "dataset": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(7),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_taylor_removes_what_the_loss_does_not_hear(form):
    model = network(compiled=True)
    silent_units(model)
    keras_snare.prune(
        model, 0.25, criterion="taylor", scope="local", data=form(*data()), layers="wide"
    )
    assert kept_scores(model) == [1, 3, 4, 5, 6, 8]


@pytest.mark.parametrize("name", ["residual", "shared_dense", "several_ends", "conv_1d"])
def test_taylor_on_other_architectures(name):
    model = models.build(name)
    model.compile("sgd", "mse", run_eagerly=True)
    x = models.inputs_for(model)
    y = keras.tree.map_structure(lambda one: np.zeros(one.shape), model.predict(x, verbose=0))
    before = model.count_params()
    report = keras_snare.prune(model, 0.4, criterion="taylor", data=(x, y))
    assert report.params_before == before > report.params_after == model.count_params()


def test_activation_needs_no_labels():
    model = network()
    model.get_layer("wide").bias.assign([-9, 0, 0, 0, 0, 0, 0, -9])
    keras_snare.prune(
        model, 0.25, criterion="activation", scope="local", data=(data()[0],), layers="wide"
    )
    assert kept_scores(model) == [2, 3, 4, 5, 6, 7]


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
    "scope": ({"scope": "all"}, ValueError, "is one of local, global. Received: scope='all'"),
    "round_to of 0": ({"round_to": 0}, ValueError, "Received: round_to=0"),
    "broken round_to": ({"round_to": 2.5}, ValueError, r"Received: round_to=2\.5"),
    "unknown criterion": (
        {"criterion": "l2"},
        ValueError,
        "Unknown criterion. Received: 'l2'. Known: activation, l1_both",
    ),
    "criterion of another kind": ({"criterion": 3}, TypeError, "`criterion` is a name .*: 3"),
    "no data": ({"criterion": "activation"}, ValueError, r"looks at data\. Give `data=\(x, y\)`"),
    "iterator": (
        {"criterion": "activation", "data": iter([X])},
        ValueError,
        "Received an iterator .*which can be read once",
    ),
    "no labels": ({"criterion": "taylor", "data": (X,)}, ValueError, "needs labelled data"),
    "no examples": (
        {"criterion": "activation", "data": (X[:0], Y[:0])},
        ValueError,
        "hold no example",
    ),
    "data of another kind": (
        {"criterion": "activation", "data": 3},
        ValueError,
        "`data` is .* arrays, .* Received: int",
    ),
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


def test_training_goes_on():
    model = network(compiled=True)
    x, y = data()
    model.fit(x, y, verbose=0)
    keras_snare.prune(model, 0.5)
    losses = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
