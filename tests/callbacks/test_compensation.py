"""`SnareCallback(compensate=...)`: trials begin with readers that were fitted."""

import keras
import numpy as np
import pytest
from fitting import Spy, digit_model, leftovers, short_fit
from training import compiled, flat_digits, same, state_of

import keras_snare
from keras_snare import SnareCallback


@pytest.mark.parametrize("kind", ["mean", "least_squares"])
def test_the_cut_is_that_of_shrink(kind):
    (x, _), _ = flat_digits(200, 100)
    options = {"criterion": "l1_in", "scoring_data": (x,), "compensate": kind}
    model, spy = digit_model(run_eagerly=True), Spy()
    snare = SnareCallback(eps=1.0, max_trials=1, retrain_epochs=1, **options)
    short_fit(model, [spy, snare])
    assert f"compensate={kind!r}" in repr(snare)
    before = spy.states[-1][:6]
    other = digit_model(run_eagerly=True)
    other.set_weights(before)
    keep = [
        at
        for at, unit in enumerate(before[0].T)
        if any(np.array_equal(unit, one) for one in model.layers[0].kernel.numpy().T)
    ]
    assert 0 < len(keep) < 16
    keras_snare.shrink(other, {"hidden1": keep}, compensate=kind, data=(x,))
    assert same(other.get_weights(), model.get_weights())


@pytest.mark.parametrize("prune_inputs", [True, False])
def test_readers_that_cannot_be_fitted_are_told_before_training(prune_inputs):
    layers = [keras.layers.Dense(5, name="hidden"), keras.layers.LSTM(4, name="reader")]
    model = keras.Sequential([keras.Input((8, 8)), *layers, keras.layers.Dense(10, "softmax")])
    compiled(model, run_eagerly=True)
    model.optimizer.build(model.trainable_variables)
    (x, y), (x_val, y_val) = flat_digits(200, 100)
    x, validation = x.reshape(-1, 8, 8), (x_val.reshape(-1, 8, 8), y_val)
    before, spy = state_of(model), Spy()
    options = {"scoring_data": (x, y), "compensate": "least_squares", "prune_inputs": prune_inputs}
    with pytest.raises(keras_snare.UnsupportedModelError, match=r"Received: 'reader' \(LSTM\)"):
        model.fit(
            x, y, epochs=9, validation_data=validation, callbacks=[spy, SnareCallback(**options)]
        )
    assert spy.states == []
    assert same(state_of(model), before)
    assert leftovers(model) == []
