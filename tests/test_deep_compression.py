"""Deep Compression in one call."""

import keras
import numpy as np
import pytest
from training import digits

import keras_snare

layers = keras.layers
(X, Y), (X_VAL, Y_VAL) = digits(600, 300)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(48, "relu"), layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    model.fit(X, Y, 64, 12, verbose=0)
    return model


def copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile_from_config(model.get_compile_config())
    return copy


def values(model):
    return [np.unique(one) for one in model.get_weights() if one.ndim > 1]


def test_pruned_clustered_and_packed(trained, tmp_path):
    model, path = copied(trained), tmp_path / "small.snare"
    before = model.evaluate(X_VAL, Y_VAL, verbose=0)[1]
    report = keras_snare.deep_compress(
        model, path, (X, Y), sparsity=0.8, clusters=8, epochs=6, batch_size=64, verbose=0
    )
    assert model.evaluate(X_VAL, Y_VAL, verbose=0)[1] > before - 0.05
    assert keras_snare.Masks.of(model).sparsity == pytest.approx(0.8, abs=0.01)
    assert [len(one) for one in values(model)] == [8, 8]
    assert all(0 in one for one in values(model))
    again = keras_snare.unpack(path)
    for found, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert path.stat().st_size == report.bytes < 4 * model.count_params() / 8
    model.fit(X, Y, verbose=0)


def test_without_training(trained, tmp_path):
    model = copied(trained)
    keras_snare.deep_compress(model, tmp_path / "small.snare", sparsity=0.5, clusters=4)
    assert keras_snare.Masks.of(model).sparsity == pytest.approx(0.5, abs=0.01)
    assert [len(one) for one in values(model)] == [4, 4]
    assert all(0 in one for one in values(model))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.5}, "sparsity"),
        ({"clusters": 1}, "clusters"),
        ({"data": (X, Y), "epochs": 1}, "`epochs` is 2 or more"),
        ({"verbose": 0}, "Arguments of `fit` are for a training"),
        ({"data": (X, Y[:5])}, "data"),
        ({"path": "missing/small.snare"}, "The folder of `path` exists"),
        (
            {"data": (X, Y), "callbacks": [keras_snare.RateCallback()]},
            "RateCallback with ClusterCallback. Call fit twice",
        ),
        (
            {"data": (X, Y), "callbacks": keras_snare.HoldMasksCallback(keras_snare.Masks({}))},
            "One callback at a time can prune",
        ),
    ],
    ids=lambda one: str(one)[:12],
)
def test_wrong_use_changes_nothing(trained, tmp_path, arguments, message):
    model = copied(trained)
    with pytest.raises(ValueError, match=message):
        keras_snare.deep_compress(model, **{"path": tmp_path / "small.snare", **arguments})
    for now, was in zip(model.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)
    assert list(tmp_path.iterdir()) == []


class Counts(keras.callbacks.Callback):
    begun = epochs = 0

    def on_train_begin(self, logs=None):
        self.begun += 1

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1


def test_other_callbacks_see_two_trainings(trained, tmp_path):
    counts = Counts()
    stop = keras.callbacks.EarlyStopping("loss", patience=5)
    keras_snare.deep_compress(
        copied(trained), tmp_path / "m.snare", (X, Y), epochs=2, callbacks=[counts, stop], verbose=0
    )
    assert (counts.begun, counts.epochs) == (2, 4)


@pytest.mark.parametrize("data", [None, (X, Y)], ids=["at once", "trained"])
def test_weights_that_are_not_finite_are_refused_before_anything_changes(trained, data, tmp_path):
    model = copied(trained)
    kernel = model.layers[-1].kernel
    kernel.assign(np.where(np.eye(48, 10) > 0, np.inf, kernel))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"finite weights.*infinity in dense_1/kernel"):
        keras_snare.deep_compress(model, tmp_path / "small.snare", data)
    for now, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, was)
