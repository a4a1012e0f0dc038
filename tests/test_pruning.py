"""`prune`: one cut, whole."""

import json
import re

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from pruning import data, network

import keras_snare

layers = keras.layers


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
    assert min(min(weight.shape, default=1) for weight in model.weights) >= 1
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


def test_training_goes_on():
    model = network(compiled=True)
    x, y = data()
    model.fit(x, y, verbose=0)
    keras_snare.prune(model, 0.5)
    losses = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
