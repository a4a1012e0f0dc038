"""Units that are like another are merged into it: it takes over their outgoing weights."""

import tracemalloc

import keras
import models
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare.criteria import get_criterion, score_groups, twins_of
from keras_snare.graph import PRODUCER, READER, THROUGH, channel_groups

SIMILARITY = get_criterion("similarity")


def line(made, read):
    """Units with one incoming and one outgoing weight each."""
    hidden, last = layers.Dense(len(made), name="hidden"), layers.Dense(1, use_bias=False)
    model = keras.Sequential([keras.Input((1,)), hidden, last])
    hidden.kernel.assign(np.array([made], "float32"))
    last.kernel.assign(np.array(read, "float32").reshape(-1, 1))
    return model


def test_scores_and_twins_by_hand():
    # Squared distances to the nearest: 1, 1, 9; times outgoing squares: 4, 1, 81.
    model = line([0, 1, 4], [2, 1, 3])
    group = channel_groups(model)["hidden"]
    scores = score_groups([group], SIMILARITY)["hidden"]
    # 1 goes first, into 0, which then counts (2 + 1)² times 4²; that is more than what 2 costs,
    # 3² times 4², by nothing: the first of equals goes.
    np.testing.assert_allclose(scores, [144, 1, 144])
    assert scores.argsort().tolist() == [1, 0, 2]
    one, other, third = group.roots.tolist()
    assert twins_of([group], SIMILARITY, group.roots[[1]]) == {other: one}
    assert twins_of([group], SIMILARITY, group.roots[[0, 1]]) == {one: third, other: third}


def test_the_survivor_takes_over_the_outgoing_weights():
    model = line([0, 1, 4], [2, 1, 3])
    keras_snare.prune(model, 0.34, criterion="similarity", scope="local")
    np.testing.assert_allclose(model.layers[0].kernel, [[0, 4]])
    np.testing.assert_allclose(model.layers[1].kernel, [[3], [3]])


def copy_channel(group, one, other):
    """Makes a channel by the weights of another."""
    for member in (*group.with_role(PRODUCER), *group.with_role(THROUGH)):
        variable, axis = member.binding.variable, member.binding.axis
        value = np.moveaxis(np.array(variable.numpy()), axis, 0)
        value[member.channels == other] = value[member.channels == one]
        variable.assign(np.moveaxis(value, 0, axis))


@pytest.mark.parametrize(
    "name",
    [
        *("dense", "dense_over_time", "conv_1d", "conv_2d", "conv_2d_transpose", "residual"),
        *("batch_normalization", "prelu", "separable_conv_2d", "depthwise_conv_2d"),
        *("concatenated", "channels_first_2d", "reshape_apart", "shared_dense", "several_ends"),
        *("group_normalization", "nested", "shuffled"),
    ],
)
def test_an_exact_twin_goes_without_loss(name):
    model = models.build(name)
    groups = channel_groups(model)
    group = next(one for one in groups.prunable() if one.width > 2 and one.with_role(READER))
    copy_channel(group, 0, 1)
    inputs = models.inputs_for(model)
    expected = models.arrays(model(inputs))
    amount = 1.5 / group.width
    keras_snare.prune(model, amount, criterion="similarity", scope="local", layers=[group.name])
    assert channel_groups(model)[group.name].width == group.width - 1
    for one, other in zip(models.arrays(model(inputs)), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


def test_what_is_merged_is_not_folded_as_well():
    model = models.build("dense")
    group = channel_groups(model)["first"]
    copy_channel(group, 0, 1)
    inputs = models.inputs_for(model)
    expected = model(inputs).numpy()
    options = {"criterion": "similarity", "scope": "local", "layers": ["first"]}
    keras_snare.prune(model, 0.3, fold_constants=True, **options)
    np.testing.assert_allclose(model(inputs), expected, atol=1e-5)


def test_a_search_merges_too():
    from fitting import decide, digit_model, short_fit

    with pytest.MonkeyPatch.context() as patch:
        decide(patch, True)
        model = digit_model(run_eagerly=True)
        first, second = model.layers[:2]
        first.kernel.assign(np.repeat(first.kernel[:, :1], 16, axis=1))
        model.optimizer.learning_rate = 0.0
        total = second.kernel.numpy().sum(axis=0)
        callback = keras_snare.SnareCallback(
            eps=0.1, criterion="similarity", retrain_epochs=1, max_trials=1, layers=["hidden1"]
        )
        short_fit(model, [callback], epochs=3)
    assert model.layers[0].units < 16
    np.testing.assert_allclose(second.kernel.numpy().sum(axis=0), total, rtol=1e-4, atol=1e-5)


def test_undo_gives_the_same_bits():
    model = models.build("residual")
    before = [one.numpy() for one in model.weights]
    groups = channel_groups(model)
    chosen = groups.prunable()
    removed = np.concatenate([group.roots[group.first(group.free, 2)] for group in chosen])
    twins = twins_of(chosen, SIMILARITY, removed)
    assert twins
    keras_snare.surgery.remove(model, groups, removed, twins=twins).restore()
    for one, other in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_square_of_the_units():
    units = 4096
    model = keras.Sequential([keras.Input((64,)), layers.Dense(units, name="hidden")])
    model.add(layers.Dense(8))
    groups = channel_groups(model)
    tracemalloc.start()
    scores = score_groups([groups["hidden"]], SIMILARITY)["hidden"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(set(scores)) == units
    assert peak < units**2 * 8 / 2


def test_many_equal_units_are_merged_as_fast_as_others():
    made = np.random.default_rng(0).random((4, 600))
    made[:, 300:] = 0
    model = keras.Sequential([keras.Input((4,)), layers.Dense(600, name="hidden"), layers.Dense(2)])
    model.get_layer("hidden").kernel.assign(made)
    group = channel_groups(model)["hidden"]
    looked = []

    def counted(look):
        return lambda self, units: (looked.append(len(units)), look(self, units))[1]

    from keras_snare.criteria import similarity

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity._Nearest, "look", counted(similarity._Nearest.look))
        scores = score_groups([group], SIMILARITY)["hidden"]
        twins = twins_of([group], SIMILARITY, group.roots[300:599])
    # Of the equal ones, all but one go first, and for nothing.
    order = scores.argsort()
    assert set(order[:299].tolist()) <= set(range(300, 600))
    assert scores[order[298]] < 1e-12 < scores[order[300]]
    assert set(twins.values()) <= set(group.roots[300:].tolist())
    # A search for all 600 in the beginning, and few after each of the 599 merges, twice.
    assert sum(looked) < 2 * (600 + 4 * 600)
