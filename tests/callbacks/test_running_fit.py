"""What is read of the running `fit`; these fail by themselves when Keras renames it."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from fitting import Bomb, digit_model, short_fit
from training import flat_digits

from keras_snare.callbacks.running_fit import EvaluateAgain, Guard, running_fit


class Look(keras.callbacks.Callback):
    """Looks around in two hooks."""

    def on_train_begin(self, logs=None):
        self.found = [running_fit(self.model)]

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(running_fit(self.model))


def test_fit_still_has_the_arguments():
    names = inspect.signature(keras.Model.fit).parameters
    needed = "validation_data validation_freq validation_steps validation_batch_size batch_size"
    assert {*needed.split(), "initial_epoch", "callbacks"} <= set(names)


def test_arguments_are_found():
    look, model = Look(), digit_model()
    validation = flat_digits(200, 100)[1]
    short_fit(
        model,
        [look],
        epochs=3,
        initial_epoch=2,
        validation_data=validation,
        validation_freq=[3],
        validation_steps=2,
        validation_batch_size=20,
    )
    assert len(look.found) == 2
    for found in look.found:
        assert found.validation_data is validation
        assert found.validation_freq == [3]
        assert (found.validation_steps, found.validation_batch_size) == (2, 20)
        assert found.initial_epoch == 2
        assert isinstance(found.callbacks, keras.callbacks.CallbackList)
        assert look in found.callbacks.callbacks


def test_a_split_counts_as_validation_data_and_the_batch_size_is_that_of_training():
    look = Look()
    short_fit(digit_model(), [look], epochs=1, validation_data=None, validation_split=0.25)
    x, y = look.found[0].validation_data[:2]
    assert len(x) == len(y) == 50
    assert look.found[0].validation_batch_size == 50
    assert look.found[0].validation_freq == 1


def test_without_validation_data():
    look = Look()
    short_fit(digit_model(), [look], epochs=1, validation_data=None)
    assert look.found[0].validation_data is None


def test_there_is_no_fit_under_way():
    assert running_fit(digit_model()) is None


def test_of_two_fits_the_one_of_the_model():
    outer, inner = digit_model(), digit_model()
    seen = {}

    class Nested(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            look = Look()
            short_fit(inner, [look], epochs=1, validation_batch_size=10)
            seen["inner"] = look.found[0].validation_batch_size
            seen["outer"] = running_fit(outer).validation_batch_size
            seen["none"] = running_fit(inner)

    short_fit(outer, [Nested()], epochs=1, validation_batch_size=20)
    assert seen == {"inner": 10, "outer": 20, "none": None}


def test_a_fit_of_a_subclass_is_seen_through():
    class Own(keras.Model):
        def fit(self, *args, **kwargs):
            return super().fit(*args, **kwargs)

    plain = digit_model()
    model = Own(plain.inputs, plain.outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    look = Look()
    short_fit(model, [look], epochs=1, validation_batch_size=20)
    assert look.found[0].validation_batch_size == 20


class Again(keras.callbacks.Callback):
    """Repeats the evaluation of each epoch, before any and twice at its end."""

    def on_train_begin(self, logs=None):
        self.again = EvaluateAgain(self.model, "accuracy", running_fit(self.model))
        self.again.attach()
        self.first, self.pairs = self.again(), []

    def on_epoch_end(self, epoch, logs=None):
        # Not what fit evaluates.
        self.model.evaluate(np.zeros((2, 64)), np.zeros(2), verbose=0)
        self.pairs.append((logs["val_accuracy"], self.again(), self.again()))

    def on_train_end(self, logs=None):
        self.again.detach()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"validation_batch_size": 30},
        {"validation_steps": 3, "validation_batch_size": 20},
        {"validation_steps": 3, "endless": True},
    ],
    ids="arrays batch_size steps endless".split(),
)
def test_the_evaluation_of_an_epoch_can_be_repeated(options):
    if "endless" in options:
        data = tf.data.Dataset.from_tensor_slices(flat_digits(200, 100)[1])
        options = {"validation_data": data.batch(20).repeat(), "validation_steps": 3}
    again, model = Again(), digit_model()
    # 60 of the 100 examples where there are 3 steps.
    seen = slice(60 if "validation_steps" in options else None)
    x, y = flat_digits(200, 100)[1]
    given = model.evaluate(x[seen], y[seen], verbose=0, return_dict=True)["accuracy"]
    short_fit(model, [again], epochs=2, **options)
    assert again.first == pytest.approx(given)
    assert len(again.pairs) == 2
    for logged, *repeated in again.pairs:
        assert repeated == [logged, logged]
    assert "evaluate" not in vars(model)
    assert again.again() is None


@pytest.mark.parametrize(
    ("error", "tidied"),
    [
        (StopIteration(), False),
        (tf.errors.OutOfRangeError(None, None, "the end"), False),
        (KeyboardInterrupt(), True),
        (ValueError("wrong"), True),
        (tf.errors.InvalidArgumentError(None, None, "wrong"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_end_of_the_data_is_no_end_of_training(error, tidied):
    def step(iterator):
        raise error

    model, calls = digit_model(), []
    model.train_function = step
    guard = Guard(model, None, lambda: calls.append("tidied"))
    guard.watch_model()
    with pytest.raises(type(error)):
        model.train_function(None)
    assert calls == ["tidied"] * tidied
    guard.release()
    assert model.train_function is step
    assert "evaluate" not in vars(model)


def _guards(model, callbacks, told):
    return [Guard(model, callbacks, lambda at=at: told.append(at)) for at in range(2)]


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end"])
def test_guards_of_one_fit_tidy_up_together(hook):
    model, told = digit_model(), []
    bomb = Bomb(hook, 0, KeyboardInterrupt())
    callbacks = keras.callbacks.CallbackList([bomb], model=model)
    before = [set(vars(one)) for one in (callbacks, bomb)]
    guards = _guards(model, callbacks, told)
    arguments = (0,) if hook == "on_epoch_end" else ()
    with pytest.raises(KeyboardInterrupt):
        getattr(callbacks, hook)(*arguments)
    assert sorted(told) == [0, 1]
    for guard in guards:
        guard.release()
        guard.release()
    assert [set(vars(one)) for one in (callbacks, bomb)] == before
    assert type(getattr(bomb, hook)).__name__ == "method"


def test_the_last_guard_leaves_everything_as_it_was():
    model, told = digit_model(), []
    model.make_train_function()
    step = model.train_function
    callbacks = keras.callbacks.CallbackList([], model=model)
    first, second = _guards(model, callbacks, told)
    first.watch_model()
    again = EvaluateAgain(model, "accuracy", None)
    again.attach()
    second.watch_model()
    first.release()
    again.detach()
    second.watch_model()
    assert model.train_function is not step
    with pytest.raises(ValueError, match="Unrecognized data type"):
        model.evaluate([[1.0]], [1.0], verbose=0, callbacks=callbacks)
    assert told == [1]
    second.release()
    assert model.train_function is step
    assert "evaluate" not in vars(model)
    assert "keras_snare_watch" not in vars(callbacks)


def test_a_guard_tidies_up_behind_one_that_fails():
    model, told = digit_model(), []
    callbacks = keras.callbacks.CallbackList([Bomb("on_epoch_end", 0, KeyError())], model=model)

    def fail():
        raise ValueError("cannot tidy up")

    Guard(model, callbacks, lambda: told.append("tidied"))
    Guard(model, callbacks, fail)
    with pytest.raises(ValueError, match="cannot tidy up"):
        callbacks.on_epoch_end(0)
    assert told == ["tidied"]
