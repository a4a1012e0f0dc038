"""`DistillationCallback` in `fit`: the loss, its gradients, and that nothing else changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from distilling import (
    ANSWERS,
    DISTILLATION,
    DIVERGENCES,
    FOUND,
    LABELS,
    LOSSES,
    OWN,
    TAUGHT,
    TEMPERATURE,
    identity,
)
from fitting import Bomb, digit_model, leftovers, short_fit
from training import compiled, conv_model, dense_model, digits, flat_digits, same, weights_of

import keras_snare
from keras_snare import DistillationCallback, SnareCallback

layers = keras.layers
LOSS = 0.3 * OWN + 0.7 * DISTILLATION


def _targets(**options):
    options = {"temperature": TEMPERATURE, "teacher_outputs": "logits", **options}
    return DistillationCallback("targets", **options)


def _pairs(x, y, answers, count=50):
    """Many copies of two examples, so that there is something to shuffle."""
    return tuple(np.concatenate([one] * count) for one in (x, y, answers))


@pytest.mark.parametrize("kind", ["arrays", "dataset", "weights"])
@pytest.mark.parametrize("form", ["logits", "probabilities"])
def test_the_loss_of_two_examples_worked_out_by_hand(kind, form):
    model = identity(2, LOSSES[form], metrics=["accuracy"], run_eagerly=True)
    x, y, answers = _pairs(ANSWERS[form](FOUND), LABELS, TAUGHT)
    options = {"epochs": 1, "verbose": 0, "callbacks": [_targets()]}
    if kind == "dataset":
        data = tf.data.Dataset.from_tensor_slices((x, (y, answers))).shuffle(100).batch(25)
        found = model.fit(data, **options).history
    elif kind == "arrays":
        found = model.fit(x, (y, answers), batch_size=25, **options).history
    else:
        weights = np.tile([2.0, 0.0], 50)
        found = model.fit(x, (y, answers), sample_weight=weights, **options).history
    own, distillation = OWN, DISTILLATION
    if kind == "weights":
        own, distillation = np.log(2), TEMPERATURE**2 * DIVERGENCES[0]
    loss = 0.3 * own + 0.7 * distillation
    assert found["loss"] == pytest.approx([loss], rel=1e-5)
    assert found["distillation_loss"] == pytest.approx([distillation], rel=1e-5)
    assert found["distillation_share"] == pytest.approx([0.7 * distillation / loss], rel=1e-5)
    assert found["accuracy"] == [1.0]


@pytest.mark.parametrize("pairs", [True, False], ids="pairs plain".split())
def test_validation_is_plain(pairs):
    model = identity(metrics=["accuracy"])
    validation = (FOUND, (LABELS, TAUGHT) if pairs else LABELS)
    found = model.fit(
        FOUND,
        (LABELS, TAUGHT),
        validation_data=validation,
        epochs=1,
        verbose=0,
        callbacks=[_targets()],
    ).history
    assert found["loss"] == pytest.approx([LOSS], rel=1e-5)
    assert found["val_loss"] == pytest.approx([OWN], rel=1e-5)
    assert found["val_accuracy"] == [1.0]
    assert model.evaluate(FOUND, LABELS, verbose=0)[0] == pytest.approx(OWN, rel=1e-5)


def _hand_written(model, teacher, x, y, steps, temperature=3.0, alpha=0.7):
    """The same training with nothing of Keras's losses in it."""
    for _ in range(steps):
        with tf.GradientTape() as tape:
            found = tf.math.log(model(x, training=True))
            right = tf.gather(found, y, axis=1, batch_dims=1)
            soft = tf.nn.softmax(tf.math.log(teacher(x, training=False)) / temperature)
            softened = tf.nn.log_softmax(found / temperature)
            divergence = tf.reduce_sum(soft * (tf.math.log(soft) - softened), axis=1)
            loss = -(1 - alpha) * tf.reduce_mean(right)
            loss += alpha * temperature**2 * tf.reduce_mean(divergence)
        values = [one.value for one in model.trainable_variables]
        model.optimizer.apply(tape.gradient(loss, values), model.trainable_variables)


def _momentum(**options):
    return keras.optimizers.SGD(0.1, momentum=0.9, **options)


@pytest.mark.parametrize(
    ("options", "optimizer"),
    [
        ({}, {}),
        ({"run_eagerly": True}, {}),
        pytest.param({"jit_compile": True}, {}),
        pytest.param({"steps_per_execution": 2}, {}, marks=pytest.mark.slow),
        pytest.param({}, {"gradient_accumulation_steps": 2}, marks=pytest.mark.slow),
        pytest.param({}, {"loss_scale_factor": 8.0}, marks=pytest.mark.slow),
    ],
    ids="compiled eager xla several_steps accumulation scaled".split(),
)
def test_gradients_are_those_of_a_hand_written_step(options, optimizer):
    (x, y), _ = flat_digits(20, 10)
    teacher = dense_model(64, (9,), 10)
    models = [dense_model(64, (6, 5), 10) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    for model, more in zip(
        models, (optimizer, {**optimizer, "loss_scale_factor": None}), strict=True
    ):
        compiled(model, _momentum(**more), **options)
    before = weights_of(teacher)
    models[0].fit(
        x, y, epochs=4, batch_size=20, verbose=0, callbacks=[DistillationCallback(teacher)]
    )
    _hand_written(models[1], teacher, x, y, 4)
    for found, expected in zip(*map(weights_of, models), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-6)
    assert same(weights_of(teacher), before)


def test_a_share_of_nothing_is_ordinary_training():
    found = []
    for callbacks in ([], [DistillationCallback(_other(), alpha=0.0)]):
        keras.utils.set_random_seed(1)
        model = digit_model(run_eagerly=True)
        short_fit(model, callbacks, epochs=1, shuffle=False)
        found.append(weights_of(model))
    assert same(*found)


def _other():
    return dense_model(64, (9,), 10)


def test_the_teacher_infers():
    """It neither drops out nor normalises by the batch, and learns nothing of it."""
    (x, y), _ = digits(20, 10)
    teacher = conv_model(8, 1, 10)
    teacher = keras.Sequential([keras.Input((8, 8, 1)), layers.Dropout(0.5), teacher])
    model = compiled(conv_model(8, 1, 10), keras.optimizers.SGD(0.0))
    before = [one.numpy() for one in teacher.variables]
    found = model.fit(
        x, y, batch_size=20, epochs=2, verbose=0, callbacks=[DistillationCallback(teacher)]
    ).history["distillation_loss"]
    assert found[0] == found[1] > 0
    assert same([one.numpy() for one in teacher.variables], before)


# What a fit without this callback may leave on a model.
OF_KERAS = {"_eval_epoch_iterator", "_initial_epoch"}


def _held(model):
    """The names of all that is set on a model and on its layers, and the hooks of its layers."""
    things = [model, *model.layers]
    return [vars(thing).keys() - OF_KERAS for thing in things], [one.call for one in model.layers]


ENDINGS = {
    "end": None,
    "epoch_begin": ("on_epoch_begin", 1, RuntimeError("from elsewhere")),
    "interrupt": ("on_train_batch_end", 3, KeyboardInterrupt("from elsewhere")),
    "evaluation": ("on_test_batch_end", 1, RuntimeError("from elsewhere")),
    "train_begin": ("on_train_begin", 0, RuntimeError("from elsewhere")),
    "train_end": ("on_train_end", 0, RuntimeError("from elsewhere")),
}


QUICK = {("end", True), ("interrupt", True), ("evaluation", True), ("train_begin", False)}


@pytest.mark.parametrize(
    ("ending", "first"),
    [
        pytest.param(ending, first, marks=[pytest.mark.slow] * ((ending, first) not in QUICK))
        for ending in ENDINGS
        for first in (True, False)
    ],
)
def test_however_fit_ends_both_models_are_left_as_found(ending, first):
    model, teacher = digit_model(run_eagerly=True), _other()
    short_fit(model, [], epochs=1)
    callback = DistillationCallback(teacher, features={"hidden1": "hidden1"})
    held = _held(model), _held(teacher)
    others = [Bomb(*ENDINGS[ending])] if ENDINGS[ending] else []
    callbacks = [callback, *others] if first else [*others, callback]
    if ENDINGS[ending]:
        with pytest.raises(type(ENDINGS[ending][2]), match="from elsewhere"):
            short_fit(model, callbacks, epochs=2, batch_size=100)
    else:
        short_fit(model, callbacks, epochs=2, batch_size=100)
    assert (_held(model), _held(teacher)) == held
    assert leftovers(model) == []
    assert "on_train_begin" not in vars(callback)
    assert "distillation_loss" not in short_fit(model, [], epochs=1).history


class Tripped(keras.metrics.Metric):
    """Raises inside the training step when the second epoch has begun."""

    calls = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        Tripped.calls += 1
        if Tripped.calls > 6:
            raise KeyboardInterrupt("in the step")

    def result(self):
        return 0.0


def test_the_step_is_interrupted():
    Tripped.calls = 0
    model = digit_model(metrics=[Tripped()], run_eagerly=True)
    with pytest.raises(KeyboardInterrupt, match="in the step"):
        short_fit(model, [DistillationCallback(_other())], validation_data=None)
    assert not {"train_step", "compute_loss"} & vars(model).keys()


def test_files_written_in_fit_hold_nothing_of_it(tmp_path):
    model = digit_model(run_eagerly=True)
    save = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    short_fit(model, [DistillationCallback(_other()), save], epochs=1)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert same(weights_of(loaded), weights_of(model))
    assert loaded.to_json() == model.to_json()
    assert len(loaded.variables) == len(model.variables)


def test_one_callback_serves_again_and_another_model():
    callback = DistillationCallback(_other())
    for units in ((16, 12), (8,)):
        model = compiled(dense_model(64, units, 10), run_eagerly=True)
        for _ in range(2):
            found = short_fit(model, [callback], epochs=1, batch_size=200).history
            assert np.isfinite(found["distillation_loss"]).all()


class Look(keras.callbacks.Callback):
    """Copies the weights of the teacher and of the model after every epoch."""

    def __init__(self, callback):
        super().__init__()
        self.callback, self.teachers, self.models = callback, [], []

    def on_epoch_end(self, epoch, logs=None):
        step = self.callback._run._step
        self.teachers.append(step and weights_of(step.lesson.teacher.models[0]))
        self.models.append(weights_of(self.model))


@pytest.mark.parametrize("start", [0, 2])
def test_a_copy_of_the_model_itself_is_taken_when_its_epoch_begins(start):
    model = digit_model(run_eagerly=True)
    given = weights_of(model)
    callback = DistillationCallback("self", start_epoch=start)
    look = Look(callback)
    history = short_fit(model, [callback, look], epochs=4, batch_size=200).history
    assert np.isnan(history["distillation_loss"]).tolist() == [at < start for at in range(4)]
    expected = look.models[1] if start else given
    begun = max(start - 1, 0)
    assert all(one is None for one in look.teachers[:begun])
    assert all(same(one, expected) for one in look.teachers[begun:])
    assert not same(look.models[-1], expected)


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (DistillationCallback("self"), "DistillationCallback(teacher='self')"),
        (
            DistillationCallback("targets", alpha=0.5, teacher_outputs="logits"),
            "DistillationCallback(teacher='targets', alpha=0.5, teacher_outputs='logits')",
        ),
        (SnareCallback(0.1, beta=1.0), "SnareCallback(eps=0.1)"),
    ],
    ids="default changed other".split(),
)
def test_repr(callback, expected):
    assert repr(callback) == expected


def test_it_is_public():
    assert "DistillationCallback" in keras_snare.__all__
