"""Callbacks of Keras that set the learning rate, beside a search."""

import keras
import pytest
from fitting import digit_model
from with_keras import ORDERS, search_with

from keras_snare import SnareCallback


def _rate(model):
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


class Rates(keras.callbacks.Callback):
    """Notes the rate of every step."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_epoch_begin(self, epoch, logs=None):
        self.found.append(set())

    def on_train_batch_end(self, batch, logs=None):
        self.found[-1].add(_rate(self.model))


@pytest.mark.parametrize("order", ORDERS)
def test_a_scheduled_rate_is_that_of_the_epoch(monkeypatch, order):
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 / (epoch + 1))
    expected = [pytest.approx(0.01 / (epoch + 1)) for epoch in range(4)]
    model, rates = digit_model(run_eagerly=True), Rates()
    _, _, history, _ = search_with(monkeypatch, schedule, order, model=model, others=[rates])
    assert history["learning_rate"] == expected
    assert [rate for (rate,) in rates.found] == expected
    # The rate is undone with the trial that it belongs to.
    assert _rate(model) == expected[1]


@pytest.mark.parametrize("order", ORDERS)
def test_a_rate_that_was_lowered_goes_back_with_a_trial_that_is_undone(monkeypatch, order):
    lower = keras.callbacks.ReduceLROnPlateau("quality", mode="max", factor=0.5, patience=1)
    rates = Rates()
    model, snare, history, _ = search_with(monkeypatch, lower, order, others=[rates])
    # At the end of epochs 2 (accepted), 3 and 4 (of the trial that is undone then).
    trained = [pytest.approx(rate) for rate in (0.01, 0.01, 0.005, 0.0025)]
    assert history["learning_rate"] == trained
    assert [rate for (rate,) in rates.found] == trained
    assert _rate(model) == pytest.approx(0.005)
    assert [row.accepted for row in snare.report.rows] == [True, False]


def test_a_rate_that_was_lowered_stays_so_after_the_search(monkeypatch):
    lower = keras.callbacks.ReduceLROnPlateau("quality", mode="max", factor=0.5, patience=1)
    told = (1, 2, 2, 2, 3, 3, 4)
    rates = Rates()
    _, snare, history, _ = search_with(
        monkeypatch, lower, told=told, others=[rates], epochs=7, stop_when_done=False
    )
    # Lowered after epochs 3 and 4, which are undone, and after epoch 6.
    expected = [pytest.approx(rate) for rate in (0.01, 0.01, 0.01, 0.005, 0.01, 0.01, 0.005)]
    assert history["learning_rate"] == expected
    assert isinstance(snare, SnareCallback)
    assert [rate for (rate,) in rates.found] == expected
