"""Which channels go when a share is removed at once."""

import keras
import numpy as np
import pytest
from keras import layers
from training import dense_model

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.policy import lowest, one_shot

SCORES = {
    "hidden1": np.array([5.0, 1, 4, 2, 3, 6]),
    "hidden2": np.array([30.0, 10, 50, 20, 40]),
}


def _groups(units=(6, 5)):
    return channel_groups(dense_model(units=units))


def _positions(groups, removed):
    return {
        group.name: sorted(np.flatnonzero(np.isin(groups.units(group.name), removed)).tolist())
        for group in groups.prunable()
    }


@pytest.mark.parametrize(
    ("remove", "expected"),
    [(0, []), (1, [1]), (3, [1, 3, 4]), (5, [0, 1, 2, 3, 4]), (6, [0, 1, 2, 3, 4])],
)
def test_lowest(remove, expected):
    groups = _groups()
    removed = lowest(groups["hidden1"], SCORES["hidden1"], remove)
    assert _positions(groups, removed)["hidden1"] == expected


def test_lowest_takes_equal_scores_in_the_order_of_the_units():
    groups = _groups()
    removed = lowest(groups["hidden1"], np.array([1.0, 0, 1, 0, 0, 1]), 4)
    assert _positions(groups, removed)["hidden1"] == [0, 1, 3, 4]


def _coupled(left=2, right=2, fixed=0):
    """Two convolutions side by side, added to a third; `fixed` channels come from the input."""
    inputs = keras.Input((4, 4, 2))
    parts = [
        layers.Conv2D(width, 1, name=name)(inputs)
        for name, width in (("left", left), ("right", right))
        if width
    ]
    joined = layers.Concatenate(name="joined")([*parts, *([inputs] if fixed else [])])
    total = layers.Conv2D(left + right + fixed, 1, name="total")(inputs)
    added = layers.Add(name="added")([joined, total])
    pooled = layers.GlobalAveragePooling2D()(added)
    return keras.Model(inputs, layers.Dense(3, name="digit")(pooled))


def test_lowest_leaves_every_coupled_layer_a_unit():
    model = _coupled()
    groups = channel_groups(model)
    group = groups["total"]
    channels = {root: at for at, root in enumerate(group.roots.tolist())}
    left = [channels[root] for root in groups.units("left").tolist()]
    scores = np.ones(4)
    scores[left] = 0
    removed = lowest(group, scores, 2)
    assert len(removed) == 2
    assert np.isin(groups.units("left"), removed).sum() == 1
    assert np.isin(groups.units("right"), removed).sum() == 1


def test_prune_leaves_every_coupled_layer_a_unit():
    model = _coupled()
    for name, value in (("left", 0.01), ("right", 1.0)):
        layer = model.get_layer(name)
        layer.set_weights([np.full_like(weight, value) for weight in layer.get_weights()])
    keras_snare.prune(model, 0.75, criterion="l1_in", layers="total")
    widths = {name: model.get_layer(name).filters for name in ("left", "right", "total")}
    assert widths == {"left": 1, "right": 1, "total": 2}
    assert model.predict(np.zeros((1, 4, 4, 2)), verbose=0).shape == (1, 3)


def test_a_plan_that_empties_a_coupled_layer_is_refused():
    model = _coupled()
    with pytest.raises(
        keras_snare.InvalidPlanError, match="keeps none of the units of layer 'left'"
    ):
        keras_snare.shrink(model, {"total": [2, 3]})
    assert model.get_layer("total").filters == 4


def test_a_group_whose_layers_have_one_unit_each_cannot_be_cut():
    group = channel_groups(_coupled(left=1, right=1))["total"]
    assert not group.prunable
    assert group.reason == "each of its layers has to keep a unit"


def test_lowest_leaves_alone_what_cannot_be_cut():
    groups = channel_groups(_coupled(left=3, right=0, fixed=2))
    group = groups["total"]
    assert (group.width, len(group.free)) == (5, 3)
    removed = lowest(group, np.where(np.isin(np.arange(5), group.free), 9.0, 0.0), 4)
    # The layer on the left keeps one of its three.
    assert len(removed) == 2
    assert np.isin(removed, groups.units("left")).all()


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0.5, {"hidden1": [1, 3, 4], "hidden2": [1, 3]}),
        (0.2, {"hidden1": [1], "hidden2": [1]}),
        (0.1, {"hidden1": [], "hidden2": []}),
        (0.99, {"hidden1": [0, 1, 2, 3, 4], "hidden2": [0, 1, 3, 4]}),
    ],
)
def test_local_takes_the_share_of_each_layer(amount, expected):
    groups = _groups()
    removed = one_shot(groups.prunable(), SCORES, amount, "local")
    assert _positions(groups, removed) == expected


def test_global_takes_the_lowest_of_all_by_root_mean_square():
    # Divided by root mean squares of 2.6 and 37: .38 .77 .96 1.5 against .03 1.1 1.1 1.1 1.2.
    groups = _groups((4, 5))
    scores = {"hidden1": np.array([1.0, 2, 2.5, 4]), "hidden2": np.array([1.0, 40, 41, 42, 43])}
    rms = {name: np.sqrt(np.mean(found**2)) for name, found in scores.items()}
    together = sorted(
        (value / rms[name], name, at)
        for name, found in scores.items()
        for at, value in enumerate(found)
    )
    expected = {"hidden1": [], "hidden2": []}
    for _, name, at in together[:4]:
        expected[name].append(at)
    assert expected == {"hidden1": [0, 1, 2], "hidden2": [0]}
    removed = one_shot(groups.prunable(), scores, 0.5, "global")
    assert _positions(groups, removed) == expected


def test_global_ignores_the_scale_of_a_layer():
    groups = _groups((4, 4))
    scores = {"hidden1": np.array([1.0, 2, 3, 4]), "hidden2": 1e6 * np.array([4.0, 3, 2, 1])}
    removed = one_shot(groups.prunable(), scores, 0.5, "global")
    assert _positions(groups, removed) == {"hidden1": [0, 1], "hidden2": [2, 3]}


def test_global_leaves_each_layer_a_unit():
    groups = _groups((4, 8))
    scores = {"hidden1": np.array([0.0, 0, 0, 9]), "hidden2": np.full(8, 5.0)}
    scores["hidden1"][:] = 0
    removed = one_shot(groups.prunable(), scores, 0.5, "global")
    found = _positions(groups, removed)
    assert found == {"hidden1": [0, 1, 2], "hidden2": [0, 1, 2]}


@pytest.mark.parametrize(
    ("round_to", "widths"), [(None, [3, 3]), (1, [3, 3]), (2, [4, 4]), (4, [4, 4]), (8, [6, 5])]
)
def test_round_to_keeps_widths_at_multiples(round_to, widths):
    groups = _groups()
    removed = one_shot(groups.prunable(), SCORES, 0.5, "local", round_to)
    found = _positions(groups, removed)
    assert [6 - len(found["hidden1"]), 5 - len(found["hidden2"])] == widths


def test_no_group_at_all():
    assert one_shot([], {}, 0.5, "global").tolist() == []
