"""`prune_inputs`: a selection of input features in front of the first dense layer."""

import keras
import numpy as np
import pytest
from fitting import Bomb, Spy, decide, digit_model, leftovers, short_fit, widths
from training import compiled, dense_model, flat_digits, same

import keras_snare
from keras_snare import SnareCallback
from keras_snare.layers import FeatureSelection
from keras_snare.policy import SnarePolicy


def functional_model():
    """The same as `digit_model`, with a layer without weights in front."""
    inputs = keras.Input((64,), name="pixels")
    hidden = keras.layers.Rescaling(1.0, name="scale")(inputs)
    for at, units in enumerate((16, 12), start=1):
        hidden = keras.layers.Dense(units, activation="relu", name=f"hidden{at}")(hidden)
    outputs = keras.layers.Dense(10, activation="softmax", name="digit")(hidden)
    return compiled(keras.Model(inputs, outputs), keras.optimizers.Adam(0.01))


KINDS = {"sequential": digit_model, "functional": functional_model}
each_kind = pytest.mark.parametrize(
    "make",
    [
        pytest.param(KINDS["sequential"], id="sequential"),
        pytest.param(KINDS["functional"], id="functional", marks=pytest.mark.slow),
    ],
)


def _selection(model) -> FeatureSelection:
    (found,) = [layer for layer in model.layers if isinstance(layer, FeatureSelection)]
    return found


def _names(model) -> list[str]:
    names = [layer.name for layer in model.layers]
    return [name for name in names if not name.startswith("input_layer")]


@each_kind
def test_features_are_dropped(make):
    model, spy = make(), Spy()
    params = model.count_params()
    snare = SnareCallback(eps=1.0, prune_inputs=True, layers=[], retrain_epochs=1, max_trials=1)
    short_fit(model, [spy, snare])
    selection = _selection(model)
    assert len(selection.indices) == 24  # 64 less 40
    assert widths(model) == [16, 12, 10]
    assert model.count_params() == params - 40 * 16 == snare.report.params_after
    kernel = spy.states[0][0]
    assert np.array_equal(
        model.get_layer("hidden1").kernel.numpy(), kernel[list(selection.indices)]
    )
    assert model.input_shape == (None, 64)
    assert leftovers(model) == []


@each_kind
def test_inputs_and_units_are_cut_in_one_search_and_saved(make, tmp_path):
    (x, _), validation = flat_digits(200, 100)
    model = make()
    snare = SnareCallback(eps=1.0, prune_inputs=True, retrain_epochs=1, max_trials=6)
    short_fit(model, [snare])
    assert {row.layer for row in snare.report.rows} == {"input_selection", "hidden1", "hidden2"}
    assert model.count_params() == snare.report.params_after
    assert keras_snare.cost(model).flops == snare.report.flops_after

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")

    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    assert _selection(loaded).indices == _selection(model).indices
    short_fit(loaded, [], epochs=1)
    assert loaded.evaluate(*validation, verbose=0)[0] < 5


@pytest.mark.slow
@each_kind
def test_a_selection_that_drops_nothing_is_taken_out_again(monkeypatch, make):
    decide(monkeypatch)
    model, spy = make(), Spy()
    names, config = _names(model), model.get_config()
    snare = SnareCallback(eps=0.1, prune_inputs=True, retrain_epochs=1, max_trials=3)
    short_fit(model, [spy, snare])
    assert "input_selection" in {row.layer for row in snare.report.rows}
    assert _names(model) == names
    assert model.get_config() == config
    assert same(model.get_weights(), spy.states[0][:6])
    short_fit(model, [], epochs=1)
    assert leftovers(model) == []


@each_kind
def test_a_cut_elsewhere_survives_the_removal_of_an_idle_selection(monkeypatch, make):
    model = make()
    # The narrowest layer goes first, and then the inputs, in mid-trial when fit ends.
    decide(monkeypatch, True)
    snare = SnareCallback(
        eps=0.1, prune_inputs=True, layers="hidden2", round_to=5, retrain_epochs=1, max_trials=9
    )
    monkeypatch.setattr(SnarePolicy, "score", lambda self, size, total: 1.0 / size.width)
    with pytest.raises(RuntimeError, match="in mid-search"):
        short_fit(model, [snare, Bomb("on_epoch_end", 0, RuntimeError("in mid-search"))])
    assert [row.accepted for row in snare.report.rows] == [True, False]
    assert widths(model) == [16, 5, 10]
    assert "input_selection" not in _names(model)
    assert model.get_layer("hidden2").output.shape == (None, 5)
    short_fit(model, [], epochs=1)


@each_kind
def test_an_interrupted_trial_of_the_inputs_is_undone(monkeypatch, make):
    decide(monkeypatch, True, False)
    model, bomb = make(), Bomb("on_train_batch_end", 5, KeyboardInterrupt())
    snare = SnareCallback(eps=0.1, prune_inputs=True, retrain_epochs=2, beta=5.0, gamma=5.0)
    with pytest.raises(KeyboardInterrupt):
        short_fit(model, [snare, bomb])
    rows = snare.report.rows
    assert [row.accepted for row in rows] == [True, False]
    kept = [layer for layer in model.layers if isinstance(layer, FeatureSelection)]
    accepted = {row.layer: row.width_after for row in rows if row.accepted}
    assert [len(layer.indices) for layer in kept] == [
        width for layer, width in accepted.items() if layer == "input_selection"
    ]
    assert model.count_params() == snare.report.params_after
    short_fit(model, [], epochs=1)


@pytest.mark.slow
@each_kind
def test_a_second_fit_goes_on_with_the_selection_that_is_there(make):
    model = make()
    snare = SnareCallback(eps=1.0, prune_inputs=True, retrain_epochs=1, max_trials=3)
    short_fit(model, [snare])
    first = _selection(model).indices
    assert len(first) < 64

    short_fit(model, [snare])

    second = _selection(model).indices
    assert set(second) <= set(first)
    assert len(second) < len(first)
    assert model.count_params() == snare.report.params_after


def test_a_callback_of_the_run_sees_the_selection_in_the_first_epoch():
    class Names(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.seen = _names(self.model)

    names = Names()
    snare = SnareCallback(eps=1.0, prune_inputs=True, retrain_epochs=1, max_trials=1)
    short_fit(digit_model(), [names, snare])
    assert names.seen[0] == "input_selection"


def test_inputs_of_a_model_without_a_hidden_layer():
    model = compiled(dense_model(64, (), 10))
    short_fit(model, [SnareCallback(eps=1.0, prune_inputs=True, retrain_epochs=1, max_trials=1)])
    assert len(_selection(model).indices) == 24
    assert model.count_params() == 24 * 10 + 10


def test_a_wrong_choice_of_layers_is_told_with_inputs_as_well():
    model = digit_model()
    with pytest.raises(ValueError, match="`layers` matches no layer.*Received: 'hiden'"):
        short_fit(model, [SnareCallback(prune_inputs=True, layers="hiden")])
    assert "input_selection" not in _names(model)
