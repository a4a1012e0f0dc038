"""Layers around a cut, trained by themselves to what they computed before it."""

import json

import keras
import models
import numpy as np
import pytest
from branched_models import BRANCHED
from fitting import assert_usable, digit_model, leftovers
from resuming import STOP
from training import flat_digits, same, state_of

import keras_snare
from keras_snare import SnareCallback, compress
from keras_snare.graph import channel_groups
from keras_snare.search.block_training import BlockTraining
from keras_snare.search.blocks import Activations, block_around
from keras_snare.surgery import remove

TRAIN, VALIDATION = flat_digits(200, 100)


def outputs(model, x):
    return [np.asarray(one) for one in keras.tree.flatten(model(x, training=False))]


def error(one, other):
    return sum(float(np.mean((a - b) ** 2)) for a, b in zip(one, other, strict=True))


def cut_and_train(model, name, epochs=20):
    """Cuts half of a group and trains its block; outputs before, after the cut, and at the end."""
    x = models.inputs_for(model, 256)
    groups = channel_groups(model)
    group = groups[name]
    removed = np.sort(group.roots[group.first(group.free, max(1, group.removable // 2))])
    before, task = outputs(model, x), BlockTraining((x,), epochs, 32).before(groups, group, removed)
    snapshot = remove(model, groups, removed)
    cut = outputs(model, x)
    task.train(channel_groups(model))
    return before, cut, outputs(model, x), snapshot


QUICK = {("residual", "stem"), ("concatenated", "right"), ("shared_dense", "shared")}
CASES = [
    pytest.param(model, name, marks=[pytest.mark.slow] * ((model, name) not in QUICK))
    for model, name in (
        ("add_broadcast", "wide"),
        ("add_vector", "vector"),
        ("behind_a_nested_model", "nested/within"),
        ("concatenated", "left"),
        ("concatenated", "right"),
        ("concatenated", "mixed"),
        ("partly_coupled", "left"),
        ("recurrent_use", "start"),
        ("residual", "stem"),
        ("same_tensor_twice", "unit"),
        ("several_ends", "seen"),
        ("shared_dense", "shared"),
    )
]


@pytest.mark.parametrize(("name", "group"), CASES)
def test_a_block_comes_closer_to_what_it_computed(name, group):
    keras.utils.set_random_seed(0)
    model = BRANCHED[name]()
    models.randomize(model)
    frozen = {one.path: one.numpy() for one in model.variables}
    before, cut, trained, snapshot = cut_and_train(model, group)
    assert error(before, trained) < 0.75 * error(before, cut)
    snapshot.restore()
    assert error(before, outputs(model, models.inputs_for(model, 256))) == 0
    assert all(np.array_equal(frozen[one.path], one.numpy()) for one in model.variables)


def test_only_the_block_is_trained():
    model = keras.Sequential([keras.Input((6,))])
    for name, units in (("first", 8), ("cut", 8), ("reads", 5), ("last", 3)):
        model.add(keras.layers.Dense(units, "relu", name=name))
    states = {layer.name: layer.get_weights() for layer in model.layers}
    cut_and_train(model, "cut", 2)
    for name in ("first", "last"):
        pairs = zip(model.get_layer(name).get_weights(), states[name], strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert not np.array_equal(model.get_layer("reads").get_weights()[1], states["reads"][1])


def test_a_block_is_what_makes_passes_on_and_reads():
    model = BRANCHED["residual"]()
    groups = channel_groups(model)
    group = groups["inner"]
    block = block_around(groups, group, group.roots[:1])
    names = [groups.trace.steps[number].call.name for number in block.steps]
    assert names == ["inner", "inner_norm", "inner_relu", "branch"]
    assert len(block.inputs) == len(block.outputs) == 1


def test_a_frozen_block_is_left_alone():
    model = digit_model()
    for layer in model.layers:
        layer.trainable = False
    groups = channel_groups(model)
    group = groups["hidden1"]
    training = BlockTraining((TRAIN[0],), 1)
    assert training.before(groups, group, group.roots[:1]) is None


def test_activations_in_files_are_those_in_memory():
    chance = np.random.default_rng(0)
    values = [
        {1: chance.normal(size=(size, 3)), 2: chance.integers(0, 9, (size, 2, 2))}
        for size in (5, 5, 2)
    ]
    found = []
    for limit in (0, 150, 2**20):
        kept = Activations([1, 2, 1], limit)
        for one in values:
            kept.add(one)
        found.append(kept.arrays())
    assert isinstance(found[0][1], np.memmap)
    assert isinstance(found[1][2], np.memmap)
    assert not isinstance(found[2][1], np.memmap)
    for one in found[1:]:
        assert list(one) == [1, 2]
        assert all(np.array_equal(one[key], found[0][key]) for key in one)
    expected = np.concatenate([one[1] for one in values]).astype("float32")
    np.testing.assert_array_equal(found[0][1], expected)
    assert found[0][2].dtype.kind == "i"


SETTINGS = {"eps": 0.03, "retrain_epochs": 4, "max_trials": 4, "warmup_epochs": 4, "verbose": 0}


def fitted(callback, *others, epochs=30):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = digit_model()
    history = model.fit(
        *TRAIN,
        validation_data=VALIDATION,
        batch_size=20,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[callback, *others],
    ).history
    return model, history


@pytest.mark.slow
def test_a_search_in_fit_trains_blocks_and_then_the_whole(tmp_path):
    callback = SnareCallback(**SETTINGS, retrain="blocks", scoring_data=TRAIN)
    model, history = fitted(callback)
    report = callback.report
    assert report.finished
    assert report.accepted
    assert {row.epochs for row in report.rows} == {0}
    assert report.retraining_epochs == 0
    # The warm-up, in the last epoch of which all trials fall, and the epochs afterwards.
    assert len(history["loss"]) == 4 + 4
    assert report.params_after == model.count_params() < report.params_before
    metric = model.evaluate(*VALIDATION, verbose=0, return_dict=True)["accuracy"]
    assert metric == pytest.approx(report.metric)
    assert leftovers(model) == []
    assert_usable(model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [3, 5, 7])
def test_a_killed_search_by_blocks_goes_on(tmp_path, epoch):
    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, at, logs=None):
            if at == epoch:
                raise STOP

    expected = SnareCallback(**SETTINGS, retrain="blocks", scoring_data=TRAIN)
    model, _ = fitted(expected)
    settings = {**SETTINGS, "directory": tmp_path, "retrain": "blocks", "scoring_data": TRAIN}
    with pytest.raises(KeyboardInterrupt):
        fitted(SnareCallback(**settings), Kill())
    again = SnareCallback(**settings)
    resumed, _ = fitted(again)
    assert json.loads(again.report.to_json()) == json.loads(expected.report.to_json())
    assert same(state_of(resumed), state_of(model))


@pytest.mark.slow
def test_compress_trains_blocks_on_its_training_data():
    keras.utils.set_random_seed(1)
    model = digit_model()
    _, report = compress(model, TRAIN, VALIDATION, **SETTINGS, retrain="blocks", batch_size=20)
    assert report.finished
    assert report.accepted
    assert {row.epochs for row in report.rows} == {0}
    assert leftovers(model) == []


def test_wrong_uses_are_told():
    with pytest.raises(ValueError, match="`retrain` is 'full' or 'blocks'"):
        SnareCallback(retrain="layers")
    with pytest.raises(ValueError, match="scoring_data=None"):
        SnareCallback(retrain="blocks")
    model = digit_model()
    before = state_of(model)
    blocks = {**SETTINGS, "retrain": "blocks", "scoring_data": TRAIN}
    with pytest.raises(ValueError, match="monitor='val_loss'"):
        model.fit(*TRAIN, verbose=0, callbacks=[SnareCallback(**blocks, monitor="loss")])
    callback = SnareCallback(**blocks)
    with pytest.raises(ValueError, match="read again"):
        model.fit(
            *TRAIN,
            validation_data=iter([VALIDATION] * 99),
            validation_steps=1,
            epochs=9,
            verbose=0,
            callbacks=[callback],
        )
    assert same(state_of(model), before)
    assert leftovers(model) == []
    assert keras_snare.cost(model).params == model.count_params()
