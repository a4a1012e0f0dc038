"""`ModelCheckpoint` and `OrbaxCheckpoint` beside a search: every file is a network as it was."""

import keras
import pytest
from fitting import StopAfter, decide, digit_model, short_fit, widths
from training import compiled, same, state_of
from with_keras import ACCEPTED, ORDERS, WIDTHS, Told, evaluated, figures_of, search_with

import keras_snare
from keras_snare import SnareCallback

ModelCheckpoint = keras.callbacks.ModelCheckpoint
load = keras.models.load_model


@pytest.mark.parametrize("order", ORDERS)
def test_the_file_of_an_epoch_is_the_network_that_its_logs_are_about(monkeypatch, tmp_path, order):
    save = ModelCheckpoint(tmp_path / "{epoch}-{snare_params}-{snare_trial}.keras")
    model, snare, history, spy = search_with(monkeypatch, save, order)
    assert [row.accepted for row in snare.report.rows] == [True, False]
    assert widths(model) == ACCEPTED
    assert spy.widths == WIDTHS
    for epoch, trial in enumerate([0, 1, 2, 2]):
        params = history["snare_params"][epoch]
        loaded = load(tmp_path / f"{epoch + 1}-{params}-{trial}.keras")
        assert widths(loaded) == WIDTHS[epoch]
        assert loaded.count_params() == params
        assert same(state_of(loaded), spy.states[epoch])
        assert evaluated(loaded) == pytest.approx(figures_of(history, epoch), rel=1e-6)


@pytest.mark.parametrize(("best", "order"), [(1, "behind"), (2, "before"), (3, "behind")])
def test_the_file_of_the_best_epoch(monkeypatch, tmp_path, order, best):
    """Whether its cut is kept or not."""
    path = tmp_path / "best.keras"
    save = ModelCheckpoint(path, monitor="quality", mode="max", save_best_only=True)
    told = [1.0 - abs(epoch - best) / 9 for epoch in range(4)]
    model, _, history, _ = search_with(monkeypatch, save, order, told=told)
    loaded = load(path)
    assert widths(model) == ACCEPTED
    assert widths(loaded) == WIDTHS[best]
    assert evaluated(loaded) == pytest.approx(figures_of(history, best), rel=1e-6)


def test_files_of_single_steps_in_mid_trial(monkeypatch, tmp_path):
    save = ModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=2)
    _, _, _, spy = search_with(monkeypatch, save)
    assert len(list(tmp_path.iterdir())) == 8
    for epoch, expected in enumerate(WIDTHS, start=1):
        found = [load(tmp_path / f"{epoch}-{step}.keras") for step in (2, 4)]
        assert [widths(one) for one in found] == [expected] * 2
        assert same(state_of(found[1]), spy.states[epoch - 1])
        steps = [int(one.optimizer.iterations.numpy()) for one in found]
        assert steps == [steps[1] - 2, steps[1]]


def test_a_file_of_a_trial_trains_on(monkeypatch, tmp_path):
    save = ModelCheckpoint(tmp_path / "{epoch}.keras")
    search_with(monkeypatch, save)
    loaded = load(tmp_path / "3.keras")
    assert len(short_fit(loaded, [], epochs=2).history["loss"]) == 2
    decide(monkeypatch, True)
    snare = SnareCallback(eps=0.1, retrain_epochs=1, max_trials=1)
    short_fit(loaded, [snare], epochs=2)
    assert loaded.count_params() == snare.report.params_after < snare.report.params_before


def test_files_with_fewer_inputs(monkeypatch, tmp_path):
    save = ModelCheckpoint(tmp_path / "{epoch}.keras")
    _, _, history, _ = search_with(monkeypatch, save, prune_inputs=True)
    for epoch, params in enumerate(history["snare_params"]):
        loaded = load(tmp_path / f"{epoch + 1}.keras")
        assert keras_snare.cost(loaded).params == params
        assert evaluated(loaded) == pytest.approx(figures_of(history, epoch), rel=1e-6)


def test_the_list_of_callbacks_is_as_it_was(tmp_path):
    save, snare = ModelCheckpoint(tmp_path / "m.keras"), SnareCallback(retrain_epochs=1, eps=1.0)
    model = digit_model(run_eagerly=True)
    given = keras.callbacks.CallbackList(
        [snare, Told(0, 0), save, StopAfter(2)], model=model, epochs=3, steps=4, add_history=True
    )
    before = list(given.callbacks)
    short_fit(model, given, epochs=3)
    assert given.callbacks == before


@pytest.mark.parametrize("order", ORDERS)
def test_orbax(monkeypatch, tmp_path, order):
    if not hasattr(keras.callbacks, "OrbaxCheckpoint"):
        pytest.skip("this Keras has no OrbaxCheckpoint")
    pytest.importorskip("orbax.checkpoint", reason="orbax-checkpoint is not installed")
    # Keras finds no weights of a Sequential model: their paths are others when it is loaded.
    outputs = inputs = keras.Input((64,))
    for layer in digit_model().layers:
        outputs = type(layer).from_config(layer.get_config())(outputs)
    model = compiled(keras.Model(inputs, outputs), run_eagerly=True)
    save = keras.callbacks.OrbaxCheckpoint(tmp_path / "orbax", save_on_background=False)
    _, _, history, spy = search_with(monkeypatch, save, order, model=model)
    loaded = load(tmp_path / "orbax")
    assert widths(loaded) == spy.widths[-1] == WIDTHS[-1]
    assert evaluated(loaded) == pytest.approx(figures_of(history, -1), rel=1e-6)
