"""Ranks that fall while a model trains."""

import keras
import numpy as np
import pytest
from fitting import (
    Bomb,
    Spy,
    assert_usable,
    decide,
    digit_model,
    leftovers,
    short_fit,
    widths,
)
from resuming import STOP
from training import compiled, flat_digits, same, state_of

import keras_snare
from keras_snare import RankReduceCallback


def factors(rank="full", optimizer=None, **options):
    """The tiny classifier 64-16-12-10 in factors, but for its last layer."""
    model = digit_model(optimizer or keras.optimizers.Adam(0.01), **options)
    return keras_snare.factorize(model, rank, layers=["hidden1", "hidden2"])


def test_ranks_fall_while_the_metric_stays(tmp_path):
    model = factors(run_eagerly=True)
    assert widths(model) == [16, 16, 12, 12, 10]
    reduce = RankReduceCallback(eps=0.04, warmup_epochs=3, retrain_epochs=2, max_trials=3)
    history = short_fit(model, [reduce], epochs=30)
    after = widths(model)
    assert after[1::2] + after[-1:] == [16, 12, 10]
    assert after[0] + after[2] < 20
    report = reduce.report
    assert report.params_after == model.count_params() < history.history["snare_params"][0]
    accuracy = model.evaluate(*flat_digits(200, 100)[1], verbose=0, return_dict=True)["accuracy"]
    assert accuracy > report.best - 0.04
    assert {row.layer for row in report.rows} <= {"hidden1_in", "hidden2_in"}
    assert leftovers(model) == []
    assert_usable(model, tmp_path)


def test_a_cut_keeps_the_best_of_the_product_and_the_rest_to_the_bit(monkeypatch):
    decide(monkeypatch, True)
    model, spy = factors(), Spy()
    reduce = RankReduceCallback(eps=0.1, max_trials=1, layers="hidden1_in")
    short_fit(model, [spy, reduce])
    before = spy.states[0]
    first, last = (np.array(one) for one in before[:2])
    left, values, right = np.linalg.svd(first @ last, full_matrices=False)
    rank = widths(model)[0]
    assert rank == 6
    product = model.layers[0].kernel.numpy() @ model.layers[1].kernel.numpy()
    np.testing.assert_allclose(product, left[:, :rank] * values[:rank] @ right[:rank], atol=1e-4)
    for now, then in zip(model.get_weights()[2:], before[2:], strict=False):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("end", ["rejected", "interrupted"])
def test_what_is_not_accepted_is_undone_to_the_bit(monkeypatch, end):
    decide(monkeypatch)
    model, spy = factors(), Spy()
    reduce = RankReduceCallback(eps=0.1, retrain_epochs=2, max_trials=1)
    if end == "rejected":
        short_fit(model, [spy, reduce])
    else:
        bomb = Bomb("on_train_batch_end", 6, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            short_fit(model, [spy, reduce, bomb])
        reduce.on_train_end()
    assert widths(model) == [16, 16, 12, 12, 10]
    assert same(state_of(model), spy.states[0])


def test_the_rank_of_a_low_rank_layer_falls_and_its_units_stay(monkeypatch):
    decide(monkeypatch, True, True)
    layer = keras_snare.layers.LowRankDense(16, 12, "relu", name="low")
    last = keras.layers.Dense(10, "softmax")
    model = compiled(keras.Sequential([keras.Input((64,)), layer, last]), run_eagerly=True)
    reduce = RankReduceCallback(eps=0.1, max_trials=2, layers="low")
    short_fit(model, [reduce])
    assert [row.layer for row in reduce.report.rows] == ["low:rank"] * 2
    assert (layer.units, layer.rank) == (16, 2)
    assert layer.first.shape == (64, 2)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tmp_path):
    def run(callback, *others):
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        model = factors(run_eagerly=True)
        short_fit(model, [callback, *others], epochs=9, shuffle=False)
        return model

    settings = {"eps": 0.02, "warmup_epochs": 2, "retrain_epochs": 2, "max_trials": 4}
    whole = RankReduceCallback(**settings)
    expected = state_of(run(whole))
    assert len(whole.report.rows) > 1
    with pytest.raises(KeyboardInterrupt):
        run(RankReduceCallback(**settings, directory=tmp_path), Bomb("on_epoch_end", 3, STOP))
    again = RankReduceCallback(**settings, directory=tmp_path)
    assert same(state_of(run(again)), expected)
    assert again.report.to_json() == whole.report.to_json()


def test_wrong_use_is_told_before_any_training():
    model = factors()
    before = state_of(model)
    with pytest.raises(ValueError, match="whose units are: hidden1_in, hidden2_in"):
        short_fit(model, [RankReduceCallback(layers="hidden1")])
    assert same(state_of(model), before)
    with pytest.raises(keras_snare.UnsupportedModelError, match="Make it by keras_snare.factorize"):
        short_fit(digit_model(), [RankReduceCallback()])
    with pytest.raises(ValueError, match="One callback at a time"):
        short_fit(model, [RankReduceCallback(), keras_snare.SnareCallback()])
    with pytest.raises(ValueError, match="Received: warmup_epochs=-1"):
        RankReduceCallback(warmup_epochs=-1)
    assert repr(RankReduceCallback(0.01, round_to=4)) == "RankReduceCallback(eps=0.01, round_to=4)"
