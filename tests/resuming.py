"""Runs in a directory, and runs that end before their time."""

import keras
import pytest
from fitting import Bomb, digit_model, short_fit

from keras_snare import SnareCallback

STOP = KeyboardInterrupt("the power went")


def snare(directory=None, **options):
    options = {"eps": 0.03, "warmup_epochs": 3, "retrain_epochs": 2, "max_trials": 6, **options}
    return SnareCallback(directory=directory, **options)


def run(callback, *others, epochs=20, **options):
    """A fresh model, and a fit that always sees the same batches."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = digit_model(run_eagerly=True, **options)
    short_fit(model, [callback, *others], epochs=epochs, shuffle=False)
    return model


def killed_run(callback, hook, at, **options):
    """The same, stopped in a hook; what is in memory is lost."""
    with pytest.raises(KeyboardInterrupt):
        run(callback, Bomb(hook, at, STOP), **options)
