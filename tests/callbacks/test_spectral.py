"""Frequencies that come and go in `fit`."""

import re
import warnings

import keras
import numpy as np
import pytest

import keras_snare
from keras_snare.layers import DCTConv2D, DCTDense
from keras_snare.layers.cosines import basis
from keras_snare.surgery import set_frequencies

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 6, 6, 1)).astype("float32")
Y = RANDOM.integers(0, 3, 64)


def network(coefficients=12, optimizer="adam", taps=5):
    inputs = keras.Input((6, 6, 1))
    x = DCTConv2D(2, 3, padding="same", coefficients=taps, activation="relu", name="conv")(inputs)
    x = layers.Flatten()(x)
    grid = (6, 6, 2)
    x = DCTDense(4, "tanh", coefficients=coefficients, input_grid=grid, name="spectral")(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def fit(model, callback, epochs=4, **settings):
    return model.fit(X, Y, 16, epochs, verbose=0, callbacks=[callback], **settings).history


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, 0.9),
    "adam": lambda: keras.optimizers.Adam(use_ema=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "adafactor": lambda: keras.optimizers.Adafactor(),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_layers_compute_the_same_with_new_frequencies_at_zero(optimizer):
    model = network(optimizer=OPTIMIZERS[optimizer]())
    model.fit(X, Y, 16, verbose=0)
    before, held = model.predict(X, verbose=0), model.get_weights()
    spectral, conv = model.get_layer("spectral"), model.get_layer("conv")
    more = (*spectral.frequencies[::-1], 40, 60, 71)
    undo = set_frequencies(model, {spectral: more, conv: range(9)})
    np.testing.assert_allclose(model.predict(X, verbose=0), before, atol=1e-5)
    assert spectral.kernel.shape == (15, 4)
    assert conv.kernel.shape == (9, 1, 2)
    np.testing.assert_array_equal(spectral.kernel[12:], 0)
    np.testing.assert_allclose(spectral.fixed_basis, basis((6, 6, 2), more), atol=1e-6)
    model.fit(X, Y, 16, verbose=0)
    assert np.all(np.any(spectral.kernel.numpy() != 0, axis=1))
    assert all(np.isfinite(one).all() for one in model.get_weights())
    undo.restore()
    for now, was in zip(model.get_weights(), held, strict=True):
        np.testing.assert_array_equal(now, was)
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    model.fit(X, Y, 16, verbose=0)


def test_frequencies_that_go_are_those_at_zero():
    model = network()
    spectral = model.get_layer("spectral")
    kernel = spectral.kernel.numpy()
    kernel[[1, 4]] = 0
    spectral.kernel.assign(kernel)
    expected = model.predict(X, verbose=0)
    set_frequencies(
        model, {spectral: [spectral.frequencies[at] for at in (0, 2, 3, *range(5, 12))]}
    )
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-5)


def test_a_model_with_other_frequencies_is_saved(tmp_path):
    model = network()
    set_frequencies(model, {model.get_layer("spectral"): [3, 50, 7], model.get_layer("conv"): [8]})
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    assert loaded.get_layer("spectral").frequencies == (3, 50, 7)


def test_frequencies_go_on_a_schedule():
    model = network(coefficients=24)
    prune = keras_snare.SpectralPruneCallback(6, schedule="linear", layers="spectral", end_epoch=3)
    found = fit(model, prune, epochs=5)
    assert found["frequencies"] == found["frequencies_spectral"] == [24, 18, 12, 6, 6]
    assert found["snare_params"][-1] == model.count_params() < found["snare_params"][0]
    assert prune.frequencies == {"spectral": model.get_layer("spectral").frequencies}
    assert len(prune.frequencies["spectral"]) == 6
    assert model.get_layer("conv").kernel.shape == (5, 1, 2)
    model.fit(X, Y, verbose=0)


def test_the_lowest_go():
    model = network(optimizer=keras.optimizers.SGD(0.0))
    spectral = model.get_layer("spectral")
    energy = np.square(spectral.kernel.numpy()).sum(axis=1)
    expected = [spectral.frequencies[at] for at in np.sort(np.argsort(-energy)[:5])]
    prune = keras_snare.SpectralPruneCallback(5, schedule="one_shot", layers=DCTDense)
    fit(model, prune, epochs=1)
    assert list(prune.frequencies["spectral"]) == expected


def test_layers_gain_the_frequencies_that_the_loss_depends_on():
    # What is to be told lies in one high frequency that the layer lacks.
    wave = basis((6, 6), (20,))[:, 0]
    y = RANDOM.integers(0, 2, 256)
    x = (0.3 * RANDOM.normal(size=(256, 36)) + np.outer(2 * y - 1, wave)).astype("float32")
    layer = DCTDense(4, "relu", coefficients=4, input_grid=(6, 6), name="spectral")
    model = keras.Sequential([keras.Input((36,)), layer, layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    prune = keras_snare.SpectralPruneCallback(6, schedule="linear", scoring_data=(x, y))
    found = model.fit(x, y, epochs=4, verbose=0, callbacks=[prune]).history
    assert found["frequencies"] == [4, 5, 5, 6]
    assert 20 in prune.frequencies["spectral"]


@pytest.mark.parametrize(
    "regrowth", ["rigl", keras_snare.masking.RigL(0.5)], ids=["name", "object"]
)
def test_frequencies_change_places(regrowth):
    model = network()
    before = set(model.get_layer("spectral").frequencies)
    prune = keras_snare.SpectralPruneCallback(
        12, regrowth=regrowth, layers="spectral", scoring_data=(X, Y), end_epoch=3
    )
    assert fit(model, prune)["frequencies"] == [12] * 4
    after = set(prune.frequencies["spectral"])
    assert len(after) == 12
    assert after != before


def test_scores_of_the_training_step():
    listens = {"criterion": "taylor", "layers": "conv"}
    prune = keras_snare.SpectralPruneCallback(0.5, begin_epoch=1, **listens)
    found = fit(network(taps=9), prune)
    assert found["frequencies_conv"][0] == 9
    assert found["frequencies_conv"][-1] == 4
    with pytest.raises(ValueError, match="before the first step. Give begin_epoch=1"):
        fit(network(), keras_snare.SpectralPruneCallback(**listens))


def test_many_lacking_frequencies_are_looked_at_in_parts(monkeypatch):
    model = network()
    data = {"scoring_data": (X, Y), "layers": "spectral"}
    model.compile(keras.optimizers.SGD(0.0), model.loss)
    settings = {"schedule": "one_shot", **data}
    whole, parts = (keras_snare.SpectralPruneCallback(np.float32(0.25), **settings) for _ in "ab")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(keras.optimizers.SGD(0.0), model.loss)
    fit(model, whole, epochs=1)
    monkeypatch.setattr("keras_snare.callbacks.spectral_run._AT_ONCE", 700)
    fit(copy, parts, epochs=1)
    assert len(whole.frequencies["spectral"]) == 18
    assert parts.frequencies == whole.frequencies


def test_snare_and_prune_cut_frequencies():
    model = network()
    report = keras_snare.prune(model, 0.5, layers=DCTDense)
    assert {one.layer for one in report.changes} == {"spectral", "spectral:frequency"}
    assert model.get_layer("spectral").kernel.shape == (6, 2)


WRONG = {
    "coefficients": ({"coefficients": 0}, "an integer, 1 or more, or a share"),
    "share": ({"coefficients": 1.5}, "an integer, 1 or more, or a share"),
    "begin": ({"begin_epoch": -1}, "`begin_epoch` is an integer, 0 or more"),
    "end": ({"begin_epoch": 3, "end_epoch": 1}, "not before begin_epoch=3"),
    "end of one": ({"schedule": "one_shot", "end_epoch": 1}, "left out where all is done at once"),
    "frequency": ({"frequency": 0}, "`frequency` is an integer, 1 or more"),
    "splicing": ({"regrowth": "splicing"}, "Take 'rigl'"),
    "no data": ({"regrowth": "rigl"}, "Give `scoring_data="),
    "one exchange": (
        {"regrowth": "rigl", "schedule": "one_shot", "scoring_data": (X, Y)},
        "schedule of one update",
    ),
    "criterion on data": ({"criterion": "obd"}, "Give `scoring_data="),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    settings, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        keras_snare.SpectralPruneCallback(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": "logits"}, "Expected layers in a basis of cosines"),
        ({"coefficients": 100, "layers": "spectral", "scoring_data": (X, Y)}, "is 72 at most"),
        ({"coefficients": 20, "layers": "spectral"}, "has 12 frequencies and is to have 20"),
        ({"criterion": "similarity"}, "frequencies cannot"),
        ({"criterion": "apoz", "scoring_data": (X, Y), "begin_epoch": 1}, "stay inside of a layer"),
    ],
)
def test_models_that_do_not_suit(settings, message):
    model, other = network(), keras.callbacks.Callback()
    before = model.get_weights()
    callback = keras_snare.SpectralPruneCallback(**({"coefficients": 4} | settings))
    with pytest.raises((ValueError, keras_snare.UnsupportedModelError), match=message):
        model.fit(X, Y, epochs=4, verbose=0, callbacks=[callback, other])
    assert "on_train_begin" not in vars(callback) | vars(other)
    for now, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize("settings", [{"coefficients": 20}, {"regrowth": "rigl"}], ids=str)
def test_frozen_layers_get_no_other_frequencies(settings):
    model = network()
    model.get_layer("spectral").trainable = False
    settings = {"coefficients": 4, "scoring_data": (X, Y), **settings}
    prune = keras_snare.SpectralPruneCallback(layers="spectral", **settings)
    with pytest.raises(ValueError, match="Received: frozen layers spectral. Set their `trainable`"):
        fit(model, prune)
    lose = keras_snare.SpectralPruneCallback(4, schedule="one_shot", layers="spectral")
    assert fit(model, lose, epochs=1)["frequencies"] == [4]


def test_other_backends_are_refused_before_training(monkeypatch):
    model, before = network(), network().optimizer.iterations.numpy()
    prune = keras_snare.SpectralPruneCallback(4, layers="spectral")
    listens = {"monitor": "loss", "mode": "min", "verbose": 0}
    data = {"criterion": "fisher", "scoring_data": (X, Y)}
    searches = [keras_snare.SnareCallback(**listens, **more) for more in ({}, data)]
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    prune.set_model(model)
    prune.set_params({"epochs": 9})
    with pytest.raises(keras_snare.UnsupportedModelError, match="Received: jax. Set KERAS_BACKEND"):
        prune.on_train_begin()
    for search in searches:
        search.set_model(model)
        search.set_params({"epochs": 9})
        with pytest.raises(keras_snare.UnsupportedModelError, match=r"Received: jax.* 'l1_in'"):
            search.on_train_begin()
    assert model.optimizer.iterations.numpy() == before


def warned(callbacks, epochs):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        network().fit(X, Y, epochs=epochs, verbose=0, callbacks=callbacks)
    return [str(one.message) for one in found if one.category is UserWarning]


def test_a_fit_that_is_stopped_or_too_short_says_so():
    prune = keras_snare.SpectralPruneCallback(4, layers="spectral", end_epoch=6)
    (said,) = warned([prune], 2)
    assert re.search("ends after epoch 1, before the last update .* epochs=7 or more", said)
    (said,) = warned([prune, keras.callbacks.EarlyStopping("loss", mode="max", patience=0)], 9)
    assert re.search(r"stopped after epoch \d, before .* start_from_epoch=6", said)


def test_an_interrupted_fit_leaves_a_model_that_trains():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    model = network(coefficients=24)
    prune = keras_snare.SpectralPruneCallback(
        6, criterion="taylor", begin_epoch=1, layers="spectral"
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=6, verbose=0, callbacks=[prune, Stop()])
    model.fit(X, Y, verbose=0)
    fit(model, prune, epochs=6)
    assert len(prune.frequencies["spectral"]) == 6


# Keras goes on to the next object, and says what failed at the end.
@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_coefficients_of_other_frequencies_are_not_loaded(tmp_path):
    model, other = network(coefficients=[1, 2, 3]), network(coefficients=[1, 2, 4])
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match=r"Build it with coefficients=\[1, 2, 3\]"):
        other.load_weights(tmp_path / "m.weights.h5")
    again = network(coefficients=[1, 2, 3])
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_model_class_that_cannot_state_its_frequencies_is_refused(tmp_path):
    model = Classifier()
    model.build((None, 8))
    keras_snare.shrink(model, {"spectral": [0, 2]})
    keras_snare.save_model(model, tmp_path / "units.keras")
    keras_snare.shrink(model, {"spectral:frequency": [0, 2]})
    with pytest.raises(keras_snare.UnsupportedModelError, match="cannot be built from its config"):
        keras_snare.save_model(model, tmp_path / "frequencies.keras")


@keras.saving.register_keras_serializable("spectral tests")
class Classifier(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.spectral = DCTDense(4, "relu", coefficients=4, name="spectral")
        self.logits = layers.Dense(3, name="logits")

    def build(self, input_shape):
        self.spectral.build(input_shape)
        self.logits.build((*input_shape[:-1], 4))

    def call(self, inputs):
        return self.logits(self.spectral(inputs))
