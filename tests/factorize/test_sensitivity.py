"""One budget, allotted by what the loss of the model depends on."""

import importlib

import keras
import numpy as np
import pytest

import keras_snare

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 24)).astype("float32")


def network(weight=0.01, loss="mse"):
    """Two branches alike, of which one counts for much in the outputs, and the other for little."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24,))
    orthogonal = {"kernel_initializer": "orthogonal", "bias_initializer": "normal"}
    much = layers.Dense(24, name="much", **orthogonal)(inputs)
    little = layers.Dense(24, name="little", **orthogonal)(inputs)
    model = keras.Model(inputs, layers.Concatenate()([much, weight * little]))
    model.compile("sgd", loss)
    return model


def factorized(model, y, budget=0.6, **settings):
    found = keras_snare.factorize(model, budget=budget, data=(X, y), **settings)
    rows = {row.layer: row for row in keras_snare.factorize_report(found).rows}
    return float(found.evaluate(X, y, verbose=0)), rows


def test_what_the_loss_depends_on_is_spared():
    model = network()
    y, before = model.predict(X, verbose=0), model.get_weights()
    plain, same = factorized(model, y)
    loss, rows = factorized(model, y, sensitivity="loss")
    assert rows["much"].params_after > 1.5 * rows["little"].params_after
    assert same["much"].params_after < 1.2 * same["little"].params_after
    assert loss < 0.75 * plain
    for now, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, was)
    assert same["much"].sensitivity is None
    ratio = rows["much"].sensitivity / rows["little"].sensitivity
    assert ratio == pytest.approx(1e4, rel=0.2)
    # The loss that is foretold is the one that comes.
    foretold = sum(row.sensitivity * row.error**2 for row in rows.values())
    assert loss == pytest.approx(foretold, rel=0.05)


@keras.saving.register_keras_serializable("sensitivity tests")
def nothing(y, predicted):
    return 0.0 * predicted


def test_where_no_layer_counts_energy_decides():
    _, rows = factorized(network(loss=nothing), np.ones((200, 48)), sensitivity="loss")
    assert [row.sensitivity for row in rows.values()] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": None, "rank": 2}, "Received: budget=None"),
        ({"data": None}, "data=None"),
        ({"data": (X,)}, "labelled data"),
        ({"data": (X, np.full((200, 48), np.nan))}, "needs a finite loss. Received: nan"),
    ],
)
def test_what_does_not_suit_is_refused_and_the_model_stays(settings, message):
    model = network()
    before, settings = model.get_weights(), {"budget": 0.5, "data": (X, X)} | settings
    with pytest.raises(ValueError, match=message):
        keras_snare.factorize(model, sensitivity="loss", **settings)
    for now, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, was)


def test_a_try_that_fails_leaves_the_model_as_it_was(monkeypatch):
    model, calls = network(), []

    def fails(*args, **kwargs):
        calls.append(model.get_weights())
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0

    module = importlib.import_module("keras_snare.factorize.sensitivity")
    monkeypatch.setattr(module, "mean_loss", fails)
    with pytest.raises(KeyboardInterrupt):
        factorized(model, np.zeros((200, 48)), sensitivity="loss", batch_size=200)
    assert not np.array_equal(calls[1][0], calls[0][0])
    for now, was in zip(model.get_weights(), calls[0], strict=True):
        np.testing.assert_array_equal(now, was)
