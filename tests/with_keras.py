"""A search beside one of Keras's callbacks: a short fit with a trial kept and a trial undone."""

import keras
import pytest
from fitting import Spy, decide, digit_model, short_fit
from training import flat_digits

from keras_snare import SnareCallback

# Epoch 1 warms up, trial 1 is accepted after epoch 2, trial 2 rejected after epochs 3 and 4.
VERDICTS = (False, True, False, False, False)
WIDTHS = [[16, 12, 10], [6, 12, 10], [3, 12, 10], [3, 12, 10]]
ACCEPTED = [6, 12, 10]
NAMES = ("before", "behind")
# Most of what holds behind a search holds in front of it by the same lines.
ORDERS = (pytest.param("before", marks=pytest.mark.slow), "behind")


class Told(keras.callbacks.Callback):
    """Puts a figure of one's choice into the logs, `quality`, epoch by epoch."""

    def __init__(self, *values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["quality"] = self.values[epoch]


def search_with(
    monkeypatch,
    one,
    order="behind",
    *,
    told=(1, 1, 1, 1),
    model=None,
    others=(),
    epochs=9,
    **options,
):
    """Trains with `one` before or behind a `SnareCallback`.

    Returns:
        The model, the callback, the history, and a `Spy` that saw every epoch before the verdict.
    """
    decide(monkeypatch, *VERDICTS)
    model = model or digit_model(run_eagerly=True)
    spy = Spy()
    snare = SnareCallback(eps=0.1, retrain_epochs=2, max_trials=2, **options)
    pair = [one, snare] if order == "before" else [snare, one]
    history = short_fit(model, [Told(*told), spy, *pair, *others], epochs=epochs).history
    return model, snare, history, spy


def evaluated(model) -> dict[str, float]:
    """The figures of a model on the validation data of the fit."""
    _, validation = flat_digits(200, 100)
    found = model.evaluate(*validation, batch_size=50, verbose=0, return_dict=True)
    return {f"val_{name}": value for name, value in found.items()}


def figures_of(history, epoch: int) -> dict[str, float]:
    """The same out of the logs of an epoch, counted from 0."""
    return {name: history[name][epoch] for name in ("val_loss", "val_accuracy")}
