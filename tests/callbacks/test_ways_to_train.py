"""`SnareCallback` in every way that Keras trains, each in a short fit that shrinks the model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from fitting import (
    Bomb,
    Spy,
    StopAfter,
    assert_usable,
    decide,
    digit_model,
    leftovers,
    short_fit,
    widths,
)
from training import OwnStep, compiled, flat_digits, same

from keras_snare import SnareCallback

# Trial 1 passes after an epoch of retraining, trial 2 at once, trial 3 never.
VERDICTS = (False, True, True)
CUT = [3, 12, 10]

WAYS = {
    "xla": (None, {"jit_compile": True}),
    "eager": (None, {"run_eagerly": True}),
    "steps_per_execution": (None, {"steps_per_execution": 4}),
    "accumulation": ({"gradient_accumulation_steps": 2}, {}),
    "ema": ({"use_ema": True, "ema_momentum": 0.9}, {}),
    "clipping": ({"global_clipnorm": 1.0, "weight_decay": 0.01}, {}),
}


def _shrink(monkeypatch, model, **options):
    decide(monkeypatch, *VERDICTS)
    snare, spy = SnareCallback(eps=0.1, retrain_epochs=1, max_trials=3), Spy()
    averages = [keras.callbacks.SwapEMAWeights()] * model.optimizer.use_ema
    short_fit(model, [spy, snare, *averages], epochs=8, **options)
    assert [row.accepted for row in snare.report.rows] == [True, True, False]
    assert widths(model) == CUT
    assert np.isfinite([logs["loss"] for logs in spy.logs]).all()
    assert leftovers(model) == []
    return snare


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        pytest.param(*way, id=name, marks=[pytest.mark.slow] * (name != "ema"))
        for name, way in WAYS.items()
    ],
)
def test_compiled_in_every_way(monkeypatch, tmp_path, optimizer, options):
    model = digit_model(keras.optimizers.Adam(0.01, **(optimizer or {})), **options)
    _shrink(monkeypatch, model)
    if options or optimizer.get("use_ema"):
        assert_usable(model, tmp_path)


def test_mixed_precision(monkeypatch, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = digit_model()
        _shrink(monkeypatch, model)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert_usable(model, tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")


class OwnSteps(OwnStep):
    """A model with steps of its own, which name a metric of their own."""

    def test_step(self, data):
        x, y = data
        right = keras.ops.equal(keras.ops.argmax(self(x), axis=-1), keras.ops.cast(y, "int64"))
        return {"quality": keras.ops.mean(keras.ops.cast(right, "float32"))}


def test_own_steps_and_metrics(monkeypatch):
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(16, activation="relu", name="hidden1")(inputs)
    hidden = keras.layers.Dense(12, activation="relu", name="hidden2")(hidden)
    outputs = keras.layers.Dense(10, activation="softmax", name="digit")(hidden)
    model = compiled(OwnSteps(inputs, outputs), metrics=None)
    decide(monkeypatch, *VERDICTS)
    snare = SnareCallback(
        eps=0.1, monitor="val_quality", mode="max", retrain_epochs=1, max_trials=3
    )
    short_fit(model, [snare], epochs=8)
    assert widths(model) == CUT
    assert 0 <= snare.report.metric <= 1


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 4

    def __getitem__(self, index):
        part = slice(50 * index, 50 * index + 50)
        return self.x[part], self.y[part]


def _generated(x, y):
    """A dataset whose length nobody knows."""
    signature = (tf.TensorSpec((None, 64), "float32"), tf.TensorSpec((None,), "int32"))
    parts = [(x[at : at + 50], y[at : at + 50]) for at in range(0, len(x), 50)]
    return tf.data.Dataset.from_generator(lambda: iter(parts), output_signature=signature)


DATA = {
    "dataset": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(50),
    "unknown_length": _generated,
    "pydataset": Batches,
}


@pytest.mark.parametrize(
    "kind", [pytest.param(one, marks=[pytest.mark.slow] * (one != "dataset")) for one in DATA]
)
# Keras says so at the end of the first epoch of any dataset of unknown length.
@pytest.mark.filterwarnings("ignore:.*Your input ran out of data:UserWarning")
def test_data_in_every_form(monkeypatch, kind):
    decide(monkeypatch, *VERDICTS)
    (x, y), (x_val, y_val) = flat_digits(200, 200)
    snare, model = SnareCallback(eps=0.1, retrain_epochs=1, max_trials=3), digit_model()
    history = model.fit(
        DATA[kind](x, y),
        validation_data=DATA[kind](x_val, y_val),
        epochs=8,
        verbose=0,
        callbacks=[snare],
    )
    assert widths(model) == CUT
    assert len(history.history["loss"]) == 3
    assert leftovers(model) == []


@pytest.mark.parametrize(
    "options",
    [
        {"validation_data": None, "validation_split": 0.2},
        {"validation_batch_size": 30},
        {"validation_steps": 1, "validation_batch_size": 40},
        {"class_weight": {0: 2.0, 1: 0.5}},
        {"steps_per_epoch": 3},
        {"initial_epoch": 2},
    ],
    ids=lambda options: next(reversed(options)),
)
def test_arguments_of_fit(options):
    model = digit_model()
    snare = SnareCallback(eps=1.0, retrain_epochs=1, max_trials=1)
    history = short_fit(model, [snare], **options)
    assert widths(model) == [6, 12, 10]
    (row,) = snare.report.rows
    assert row.epoch == 1 + options.get("initial_epoch", 0)
    assert history.epoch == [row.epoch - 1]


def test_sample_weights_of_the_validation_data_count():
    (x, y), (x_val, y_val) = flat_digits(200, 100)
    weights = np.where(y_val == 3, 1.0, 0.0)
    model = compiled(digit_model(), metrics=None, weighted_metrics=["accuracy"])
    snare = SnareCallback(eps=1.0, retrain_epochs=1, max_trials=1)
    model.fit(x, y, epochs=2, verbose=0, validation_data=(x_val, y_val, weights), callbacks=[snare])
    found = model.evaluate(x_val[y_val == 3], y_val[y_val == 3], verbose=0, return_dict=True)
    assert snare.report.metric == pytest.approx(found["accuracy"])


@pytest.mark.parametrize("wrapped", [False, True], ids="plain loss_scale".split())
def test_averages_are_applied_to_the_accepted_model_where_a_trial_is_undone(monkeypatch, wrapped):
    decide(monkeypatch, False, True, False)
    adam = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model = digit_model(keras.optimizers.LossScaleOptimizer(adam, 1.0) if wrapped else adam)
    snare, spy = SnareCallback(eps=0.1, retrain_epochs=3), Spy()
    short_fit(model, [spy, snare, StopAfter(3), keras.callbacks.SwapEMAWeights()])
    assert widths(model) == [6, 12, 10]
    averages = [value.numpy() for value in adam._model_variables_moving_average]
    assert same(model.get_weights(), averages)
    assert not same(model.get_weights(), spy.states[1][:6])
    held = spy.states[1][6:]
    assert all(any(np.array_equal(one, other) for other in held) for one in averages)


def test_after_an_interruption_the_weights_are_not_averaged(monkeypatch):
    """As in a fit without a search."""
    decide(monkeypatch, False, True, False)
    model = digit_model(keras.optimizers.Adam(0.01, use_ema=True))
    spy, bomb = Spy(), Bomb("on_train_batch_end", 9, KeyboardInterrupt())
    callbacks = [SnareCallback(eps=0.1, retrain_epochs=3), bomb, keras.callbacks.SwapEMAWeights()]
    with pytest.raises(KeyboardInterrupt):
        short_fit(model, [spy, *callbacks])
    assert same(model.get_weights(), spy.states[1][:6])
