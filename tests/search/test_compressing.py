"""`compress`: a search that trains by itself."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from fitting import assert_usable, digit_model, leftovers, widths
from training import flat_digits, same, state_of

import keras_snare
from keras_snare import SnareCallback, UnsupportedModelError, compress

TRAIN, VALIDATION = flat_digits(200, 100)
SETTINGS = {"eps": 0.03, "retrain_epochs": 2, "max_trials": 5, "warmup_epochs": 3, "verbose": 0}


def fresh(**options):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    return digit_model(run_eagerly=True, **options)


def in_order(model, train, epoch):
    """The batches of every epoch in the same order."""
    return model.fit(*train, batch_size=50, epochs=1, shuffle=False, verbose=0)


def searched(model, **options):
    return compress(model, TRAIN, VALIDATION, **{**SETTINGS, "fit": in_order, **options})


def test_it_is_the_search_of_the_callback():
    model, other = fresh(), fresh
    found, report = searched(model)
    assert found is model
    other = fresh()
    callback = SnareCallback(**SETTINGS)
    other.fit(
        *TRAIN,
        validation_data=VALIDATION,
        batch_size=50,
        epochs=30,
        shuffle=False,
        verbose=0,
        callbacks=[callback],
    )
    assert callback.report.finished
    assert json.loads(report.to_json()) == json.loads(callback.report.to_json())
    assert same(state_of(model), state_of(other))


def test_the_model_is_smaller_and_stays_usable(tmp_path):
    model = digit_model()
    before = model.count_params()
    _, report = compress(model, TRAIN, VALIDATION, **SETTINGS, batch_size=50, seed=1)
    assert report.finished
    assert report.accepted
    assert report.params_after == model.count_params() < before
    assert leftovers(model) == []
    metric = model.evaluate(*VALIDATION, verbose=0, return_dict=True)["accuracy"]
    assert metric == pytest.approx(report.metric)
    assert metric > report.best - 0.03
    assert_usable(model, tmp_path)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        at = slice(50 * index, 50 * index + 50)
        return TRAIN[0][at], TRAIN[1][at]


@pytest.mark.parametrize(
    "train",
    [Batches, lambda: tf.data.Dataset.from_tensor_slices(TRAIN).batch(50)],
    ids=["PyDataset", "tf.data"],
)
def test_other_forms_of_data(train):
    model = fresh()
    validation = tf.data.Dataset.from_tensor_slices(VALIDATION).batch(50)
    _, report = compress(model, train(), validation, **{**SETTINGS, "max_trials": 2}, seed=3)
    assert len(report.rows) == 2


def test_sample_weights_of_training_and_validation_count():
    model = fresh()
    x, y = VALIDATION
    weights = (np.argmax(model.predict(x, verbose=0), axis=-1) == y).astype("float32")
    model.compile(
        keras.optimizers.SGD(0.0),
        "sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
        run_eagerly=True,
    )
    _, report = compress(model, TRAIN, (x, y, weights), **{**SETTINGS, "max_trials": 1})
    assert report.baseline == 1.0


@pytest.mark.slow
def test_a_seed_fixes_what_is_found():
    def run(seed):
        model = fresh()
        np.random.seed(5)
        searched(model, fit=None, seed=seed, max_trials=3, batch_size=50)
        return state_of(model), np.random.random()

    (first, drawn), (again, _), (other, _) = run(7), run(7), run(8)
    assert same(again, first)
    assert not same(other, first)
    # The program's own random numbers go on as if nothing had been.
    assert drawn == np.random.RandomState(5).random()


def test_max_epochs_ends_the_search():
    model = fresh()
    epochs = []

    def counted(model, train, epoch):
        epochs.append(epoch)
        return in_order(model, train, epoch)

    _, report = searched(model, fit=counted, max_epochs=5)
    assert epochs == [0, 1, 2, 3, 4]
    assert not report.finished
    assert model.count_params() == report.params_after
    assert leftovers(model) == []


def test_a_fit_that_fails_leaves_the_last_accepted_model(tmp_path):
    model = fresh()

    def failing(model, train, epoch):
        if epoch == 6:
            raise RuntimeError("the power went")
        return in_order(model, train, epoch)

    with pytest.raises(RuntimeError, match="the power went"):
        searched(model, fit=failing, directory=tmp_path)
    accepted = keras_snare.load_candidate(tmp_path)
    assert widths(model) == widths(accepted)
    pairs = zip(model.get_weights(), accepted.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert leftovers(model) == []


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 4, 6])
def test_a_killed_run_goes_on(tmp_path, epoch):
    model = fresh()
    _, expected = searched(model, seed=2)

    def killed(model, train, at):
        if at == epoch:
            raise KeyboardInterrupt
        return in_order(model, train, at)

    with pytest.raises(KeyboardInterrupt):
        searched(fresh(), fit=killed, seed=2, directory=tmp_path)
    again, report = searched(fresh(), seed=2, directory=tmp_path)
    assert json.loads(report.to_json()) == json.loads(expected.to_json())
    assert same(state_of(again), state_of(model))
    # A finished run trains no more.
    finished, report = searched(fresh(), fit=killed, seed=2, directory=tmp_path)
    assert same(state_of(finished), state_of(model))
    assert report.finished


@pytest.mark.slow
def test_a_run_has_its_networks(tmp_path):
    model = fresh()
    _, report = searched(model, directory=tmp_path)
    assert report.accepted
    assert keras_snare.load_candidate(tmp_path).count_params() == model.count_params()
    assert keras_snare.load_candidate(tmp_path, 0).count_params() == report.params_before


@pytest.mark.slow
def test_a_search_on_a_loss():
    model = fresh()
    _, report = searched(model, monitor="loss", eps=0.2)
    assert report.monitor == "val_loss"
    assert not report.higher
    assert report.accepted


WRONG = {
    "eps": (-1, ValueError, "`eps`"),
    "monitor": ("precision", ValueError, "not a metric of the model"),
    "retrain_epochs": (0, ValueError, "`retrain_epochs`"),
    "max_epochs": (0, ValueError, "`max_epochs`"),
    "batch_size": (2.5, ValueError, "`batch_size`"),
    "seed": (-1, ValueError, "`seed`"),
    "fit": (3, TypeError, "`fit` is a function"),
    "layers": ("nothing", ValueError, "nothing"),
    "verbose": (3, ValueError, "`verbose`"),
    "directory": (3, TypeError, "`directory`"),
    "criterion": ("largest", ValueError, "largest"),
    "first_step": (1.0, ValueError, "`first_step`"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_told_before_anything_changes(name):
    value, kind, message = WRONG[name]
    model = fresh()
    before = state_of(model)
    with pytest.raises(kind, match=message):
        searched(model, **{name: value})
    assert same(state_of(model), before)
    assert leftovers(model) == []


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        (TRAIN[0], VALIDATION, "`train` is"),
        ((TRAIN[0],), VALIDATION, "labelled data"),
        (TRAIN, VALIDATION[0], "`validation` is"),
        (TRAIN, None, "`validation` is"),
        (TRAIN, iter([VALIDATION]), "read several times"),
    ],
    ids=["array", "no labels", "validation array", "none", "iterator"],
)
def test_wrong_data_are_told(train, validation, message):
    with pytest.raises(ValueError, match=message):
        compress(fresh(), train, validation)


def test_wrong_models_are_told():
    with pytest.raises(TypeError, match="Keras 3 model"):
        compress("model", TRAIN, VALIDATION)
    with pytest.raises(UnsupportedModelError, match="no optimizer"):
        compress(keras.Sequential([keras.Input((64,)), keras.layers.Dense(3)]), TRAIN, VALIDATION)
    with pytest.raises(UnsupportedModelError, match="use_ema"):
        searched(fresh(optimizer=keras.optimizers.SGD(use_ema=True)))
