"""Short fits with a `SnareCallback`, and callbacks that watch or disturb them."""

import keras
import numpy as np
from training import compiled, dense_model, flat_digits, state_of

from keras_snare.search import Objective

UNITS = (16, 12)


def digit_model(optimizer="adam", **options):
    """A tiny dense classifier for `flat_digits`.

    With `run_eagerly=True` a short fit is over before the compiled one has been traced.
    """
    if optimizer == "adam":
        optimizer = keras.optimizers.Adam(0.01)
    return compiled(dense_model(64, UNITS, 10), optimizer, **options)


def short_fit(model, callbacks, epochs=6, verbose=0, **options):
    """Trains on 200 digits in 4 steps an epoch, with 100 digits for validation."""
    data, validation = flat_digits(200, 100)
    options = {"validation_data": validation, "batch_size": 50, **options}
    return model.fit(*data, epochs=epochs, verbose=verbose, callbacks=callbacks, **options)


def widths(model) -> list[int]:
    """Units of every layer that has some."""
    return [layer.units for layer in model.layers if hasattr(layer, "units")]


class Spy(keras.callbacks.Callback):
    """Copies the state of model and optimizer at the end of every epoch, and the logs.

    In front of a `SnareCallback` it sees the model as it was trained, behind it as it goes on.
    """

    def on_train_begin(self, logs=None):
        self.states, self.widths, self.logs = [], [], []

    def on_epoch_end(self, epoch, logs=None):
        self.states.append(state_of(self.model))
        self.widths.append(widths(self.model))
        self.logs.append(dict(logs))


class Bomb(keras.callbacks.Callback):
    """Raises in one hook, the `at`-th time that it is called (from 0)."""

    def __init__(self, hook, at, error):
        super().__init__()
        self.left, self.error = at, error
        setattr(self, hook, self._tick)

    def _tick(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise self.error


class StopAfter(keras.callbacks.Callback):
    """Ends `fit` after some epochs."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epochs:
            self.model.stop_training = True


def decide(monkeypatch, *verdicts):
    """Makes the search find each metric good enough as told, in order; then not any more.

    It asks once right after every cut and once after every epoch of retraining.
    """
    left = iter(verdicts)
    monkeypatch.setattr(Objective, "passes", lambda self, value, best: next(left, False))


def leftovers(model) -> list[str]:
    """What a callback left on a model or on its optimizer."""
    steps = ("train_step", "test_step", "compute_loss", "keras_snare_followers")
    names = [name for name in ("evaluate", "fit", *steps) if name in vars(model)]
    optimizer = model.optimizer
    names += [n for n in ("apply", "_all_reduce_sum_gradients") if n in vars(optimizer)]
    names += ["train_function"] * (type(model.train_function).__name__ == "_Guarded")
    return names


def assert_usable(model, tmp_path) -> None:
    """Evaluates, saves, loads, predicts and trains on."""
    (x, y), validation = flat_digits(200, 100)
    expected = model.evaluate(*validation, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(*validation, verbose=0, return_dict=True) == expected
    before = int(model.optimizer.iterations.numpy())
    history = model.fit(x, y, batch_size=50, epochs=1, verbose=0)
    steps = 4 // (model.optimizer.gradient_accumulation_steps or 1)
    assert int(model.optimizer.iterations.numpy()) == before + steps
    assert np.isfinite(history.history["loss"]).all()
