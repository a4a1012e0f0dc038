"""Keras's callbacks that keep weights, beside masks and beside units that go on a schedule."""

import keras
import numpy as np
import pytest
from fitting import Bomb, Spy, digit_model, leftovers, short_fit, widths
from training import same, state_of
from with_keras import Told, evaluated, figures_of

from keras_snare import LotteryTicketCallback, MagnitudePruneCallback, Masks, SynFlowCallback
from keras_snare.surgery.optimizers import moving_averages

BackupAndRestore = keras.callbacks.BackupAndRestore
ModelCheckpoint = keras.callbacks.ModelCheckpoint
LOST = KeyboardInterrupt("the power went")


def _masked(**settings):
    return MagnitudePruneCallback(0.75, schedule="linear", end_epoch=3, **settings)


@pytest.mark.parametrize("structured", [False, True], ids="masks units".split())
def test_the_file_of_an_epoch_is_as_sparse_as_its_logs_say(tmp_path, structured):
    model, spy = digit_model(run_eagerly=True), Spy()
    save = ModelCheckpoint(tmp_path / "{epoch}.keras")
    history = short_fit(model, [save, spy, _masked(structured=structured)], epochs=4).history
    assert history["sparsity"] == pytest.approx([0, 0.25, 0.5, 0.75], abs=0.05)
    for epoch, sparsity in enumerate(history["sparsity"]):
        loaded = keras.models.load_model(tmp_path / f"{epoch + 1}.keras")
        assert same(state_of(loaded), spy.states[epoch])
        assert evaluated(loaded) == pytest.approx(figures_of(history, epoch), rel=1e-6)
        if structured:
            assert loaded.count_params() == history["snare_params"][epoch]
        else:
            assert Masks.of(loaded).sparsity == pytest.approx(sparsity, abs=1e-6)


def test_weights_of_the_best_epoch_are_a_file_that_masks_do_not_mind(tmp_path):
    model, path = digit_model(run_eagerly=True), tmp_path / "best.weights.h5"
    save = ModelCheckpoint(
        path, monitor="quality", mode="max", save_best_only=True, save_weights_only=True
    )
    history = short_fit(model, [Told(1, 2, 1, 1), _masked(), save], epochs=4).history
    model.load_weights(path)
    assert Masks.of(model).sparsity == pytest.approx(history["sparsity"][1], abs=1e-6)
    assert evaluated(model) == pytest.approx(figures_of(history, 1), rel=1e-6)


@pytest.mark.parametrize("order", ["before", pytest.param("behind", marks=pytest.mark.slow)])
def test_a_killed_fit_goes_on_as_sparse_as_it_was(tmp_path, order):
    def run(*others):
        keras.utils.clear_session(free_memory=False)
        model, spy, prune = digit_model(run_eagerly=True), Spy(), _masked()
        pair = [prune, BackupAndRestore(tmp_path)]
        pair = pair if order == "behind" else pair[::-1]
        return model, spy, prune, lambda: short_fit(model, [*pair, spy, *others], epochs=6)

    model, spy, _, train = run(Bomb("on_train_batch_end", 4 * 3 + 2, LOST))
    with pytest.raises(KeyboardInterrupt):
        train()
    assert leftovers(model) == []
    zeros = [one == 0 for one in spy.states[-1][:6:2]]
    model, spy, prune, train = run()
    history = train().history
    # Epoch 3 begins once more, with the update that is due then.
    assert history["sparsity"] == pytest.approx([0.75] * 3, abs=0.01)
    assert Masks.of(model).sparsity == prune.masks.sparsity == pytest.approx(0.75, abs=0.01)
    for before, now in zip(zeros, model.get_weights()[::2], strict=True):
        assert not now[before].any()


@pytest.mark.parametrize(
    "prune",
    [_masked(structured=True), SynFlowCallback(0.5, structured=True)],
    ids=["units", "flow"],
)
def test_backups_of_a_network_that_loses_units_are_refused(tmp_path, prune):
    model = digit_model(run_eagerly=True)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"BackupAndRestore keeps .*\(structured=True\). Leave it"):
        short_fit(model, [BackupAndRestore(tmp_path / "backup"), prune])
    assert same(model.get_weights(), before)
    assert list(tmp_path.iterdir()) == []


def test_best_weights_of_a_network_that_loses_units_are_refused(tmp_path):
    model, path = digit_model(run_eagerly=True), tmp_path / "m.weights.h5"
    before, prune = model.get_weights(), _masked(structured=True)
    save = ModelCheckpoint(path, save_best_only=True, save_weights_only=True)
    with pytest.raises(
        ValueError, match="from before epoch 3, at whose .* Leave save_weights_only"
    ):
        short_fit(model, [prune, save], epochs=4)
    assert same(model.get_weights(), before)
    # The weights of the last epoch fit the model that remains.
    short_fit(model, [prune, ModelCheckpoint(path, save_weights_only=True)], epochs=4)
    left = model.get_weights()
    model.load_weights(path)
    assert same(model.get_weights(), left)


@pytest.mark.parametrize(
    ("order", "on_epoch"),
    [
        ("before", True),
        ("behind", False),
        pytest.param("before", False, marks=pytest.mark.slow),
        pytest.param("behind", True, marks=pytest.mark.slow),
    ],
)
def test_averages_lose_the_units_that_their_weights_lose(order, on_epoch):
    adam = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model, prune = digit_model(adam, run_eagerly=True), _masked(structured=True)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch)
    pair = [swap, prune] if order == "before" else [prune, swap]
    history = short_fit(model, pair, epochs=5).history
    assert widths(model) == [4, 3, 10]
    averages = moving_averages(adam)
    assert same(
        model.get_weights(), [averages[id(one)].numpy() for one in model.trainable_variables]
    )
    assert evaluated(model)["val_loss"] == pytest.approx(history["val_loss"][-1], rel=1e-4)


@pytest.mark.parametrize("order", [pytest.param("before", marks=pytest.mark.slow), "behind"])
def test_the_file_of_the_best_epoch_of_a_lottery_is_of_its_round(tmp_path, order):
    path = tmp_path / "best.keras"
    save = ModelCheckpoint(path, monitor="quality", mode="max", save_best_only=True)
    lottery = LotteryTicketCallback(2, 0.5)
    pair = [save, lottery] if order == "before" else [lottery, save]
    model = digit_model(run_eagerly=True)
    history = short_fit(model, [Told(1, 1, 1, 2, 1, 1), *pair], epochs=6).history
    loaded = keras.models.load_model(path)
    assert history["lottery_round"][3] == 1
    assert Masks.of(loaded).sparsity == pytest.approx(history["sparsity"][3], abs=1e-6)
    assert evaluated(loaded) == pytest.approx(figures_of(history, 3), rel=1e-6)
    first = lottery.tickets[1].masks
    for name, kept in Masks.of(loaded).items():
        assert not (kept & ~first[name]).any()


def test_a_lottery_beside_averages_leaves_the_averages_of_its_last_round():
    adam = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model, lottery = digit_model(adam, run_eagerly=True), LotteryTicketCallback(1, 0.5)
    history = short_fit(model, [lottery, keras.callbacks.SwapEMAWeights()], epochs=4).history
    assert Masks.of(model).sparsity == pytest.approx(0.5, abs=0.01)
    assert evaluated(model)["val_loss"] == pytest.approx(history["val_loss"][-1], rel=1e-4)
    assert np.isfinite(history["loss"]).all()
