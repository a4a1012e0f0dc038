"""`sparsify`: connections at once, in rounds, without training."""

import keras
import numpy as np
import pytest
from training import compiled, conv_model, dense_model, random_data, same, state_of

import keras_snare
from keras_snare import Masks, sparsify
from keras_snare.masking import (
    ConnectionCriterion,
    ConnectionPruner,
    get_connection_criterion,
    kernels_of,
)

layers = keras.layers


def _zeros(model):
    return {one.name: one.variable.numpy() != 0 for one in kernels_of(model)}


def test_the_lowest_go_and_all_else_stays():
    model = compiled(dense_model())
    before = {weight.path: weight.numpy() for weight in model.weights}
    masks = sparsify(model, 0.6)
    sizes = np.concatenate(
        [np.abs(one).ravel() for path, one in before.items() if "kernel" in path]
    )
    limit = np.sort(sizes)[round(0.6 * len(sizes))]
    for weight in model.weights:
        keep = np.abs(before[weight.path]) >= limit if "kernel" in weight.path else True
        assert np.array_equal(weight.numpy(), np.where(keep, before[weight.path], 0))
    assert all(np.array_equal(masks[name], kept) for name, kept in _zeros(model).items())
    assert masks.sparsity == pytest.approx(0.6, abs=0.01)


class _Noting(ConnectionCriterion):
    """Magnitudes; notes what weights it sees, and of what sparsity."""

    def __init__(self):
        self.seen, self.inside = [], []

    needs = "network"

    def measure(self, model, kernels, data):
        self.inside.append([one.variable.numpy() for one in kernels])

    def score(self, kernel, weights, measured):
        self.seen.append(weights)
        return np.abs(weights)


def test_rounds_follow_the_exponential_schedule_on_a_masked_model():
    model, noting = compiled(dense_model(inputs=20)), _Noting()
    before = [np.array(one) for one in model.get_weights()]
    masks = sparsify(model, 0.9, criterion=noting, rounds=4)
    rounds = [noting.seen[at : at + 3] for at in range(0, 12, 3)]
    assert all(same(seen, inside) for seen, inside in zip(rounds, noting.inside, strict=True))
    counts = [sum(np.count_nonzero(one) for one in found) for found in rounds]
    size = sum(one.size for one in rounds[0])
    assert counts == pytest.approx([size * 0.1 ** (at / 4) for at in range(4)], abs=1)
    assert masks.kept == pytest.approx(size * 0.1, abs=1)
    assert same(before[1::2], model.get_weights()[1::2])


@pytest.mark.parametrize(
    ("options", "sparsity"),
    [
        ({"pattern": (2, 4), "layers": ["hidden2"], "rounds": 3}, 0.5),
        ({"sparsity": 0.75, "scope": "layer", "criterion": "synflow", "rounds": 5}, 0.75),
        ({"sparsity": 0.75, "scope": "erk", "criterion": "random"}, 0.75),
        ({"sparsity": 0.5, "block": (2, 2)}, 0.5),
        ({}, 0.8),
    ],
    ids=["pattern", "layer", "erk", "block", "default"],
)
def test_scopes_and_patterns(options, sparsity):
    model = dense_model(8, (8, 8), 4)
    masks = sparsify(model, **options)
    assert masks.sparsity == pytest.approx(sparsity, abs=0.02)
    found = _zeros(model)
    assert all(np.array_equal(masks[name], found[name]) for name in masks)
    if "pattern" in options:
        assert list(masks) == ["hidden2/kernel"]
        assert (masks["hidden2/kernel"].reshape(2, 4, 8).sum(axis=1) == 2).all()


@pytest.mark.parametrize("sparsity", [0.3, 0.8])
def test_initial_masks_stay_pruned(sparsity):
    model = dense_model(8, (8, 8), 4)
    first = sparsify(dense_model(8, (8, 8), 4), 0.5, criterion="random")
    masks = sparsify(model, sparsity, criterion="random", rounds=3, initial_masks=first)
    assert all((masks[name] <= first[name]).all() for name in masks)
    assert masks.sparsity == pytest.approx(max(sparsity, 0.5), abs=0.01)


def test_a_schedule_below_the_sparsity_of_initial_masks_lets_nothing_come_back():
    model = compiled(dense_model(8, (8, 8), 4))
    pruner = ConnectionPruner(model, get_connection_criterion("magnitude"), scope="global")
    pruner.step.set(pruner.checked(sparsify(model, 0.6)))
    before = dict(pruner.masks)
    assert all(np.array_equal(pruner.update(0.3)[name], before[name]) for name in before)


class _Third(ConnectionCriterion):
    """Fails in the third round."""

    needs = "network"

    def __init__(self):
        self.left = 2

    def measure(self, model, kernels, data):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def score(self, kernel, weights, measured):
        return np.abs(weights)


def test_a_killed_measurement_leaves_everything():
    model = compiled(conv_model())
    model.fit(*random_data(model), verbose=0)
    before = state_of(model)
    with pytest.raises(KeyboardInterrupt):
        sparsify(model, 0.9, criterion=_Third(), rounds=5)
    assert same(state_of(model), before)
    # A chain of three kernels cannot do with two connections.
    with pytest.raises(keras_snare.UnsupportedModelError, match="Expected connections on the way"):
        sparsify(model, 1 - 1 / 400, criterion="synflow", rounds=40)
    assert same(state_of(model), before)


DATA = (np.ones((2, 4)), np.zeros(2))
WRONG = {
    "sparsity": ({"sparsity": 1.0}, ValueError, "`sparsity` is the share.*sparsity=1.0"),
    "flag": ({"sparsity": True}, ValueError, "`sparsity` is the share"),
    "pattern": (
        {"sparsity": 0.7, "pattern": (2, 4)},
        ValueError,
        r"NOfM\(n=2, m=4\) prunes a share",
    ),
    "rounds": ({"rounds": 0}, ValueError, "`rounds` is an integer, 1 or more. Received: rounds=0"),
    "criterion": ({"criterion": "magic"}, ValueError, "Unknown criterion for connections.*snip"),
    "scope": ({"scope": "local"}, ValueError, "`scope` is one of layer, global, erk"),
    "layers": ({"layers": "none"}, ValueError, "`layers` matches no layer that has connections"),
    "idle": ({"data": DATA}, ValueError, "does not look at data. Received: data. Leave it out"),
    "labels": ({"criterion": "snip", "data": DATA[:1]}, ValueError, "needs labelled data"),
    "loss": ({"criterion": "snip", "data": DATA}, ValueError, r"Call model.compile\("),
    "masks": ({"initial_masks": "file"}, TypeError, "`initial_masks` are keras_snare.Masks"),
    "foreign": ({"initial_masks": Masks({"a": [True]})}, ValueError, "name the kernel 'a'"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_use_changes_nothing(kind):
    options, error, message = WRONG[kind]
    model = dense_model()
    before = [np.array(one) for one in model.get_weights()]
    with pytest.raises(error, match=message):
        sparsify(model, **options)
    assert same(model.get_weights(), before)
    with pytest.raises(TypeError, match="`model` is a Keras 3 model"):
        sparsify(None)
