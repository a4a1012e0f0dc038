"""Every mistake is told before the first step of training, and changes nothing."""

import math

import keras
import numpy as np
import pytest
from fitting import UNITS, Spy, digit_model, leftovers, short_fit, widths
from training import compiled, dense_model, flat_digits, same, state_of

from keras_snare import SnareCallback, UnsupportedModelError


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"eps": -0.1}, ValueError, "`eps` is the accepted loss.*Received: eps=-0.1"),
        ({"eps": math.nan}, ValueError, "Received: eps=nan"),
        ({"eps": "0.1"}, ValueError, "Received: eps='0.1'"),
        ({"eps": True}, ValueError, "Received: eps=True"),
        ({"monitor": "val_quality"}, ValueError, "Give mode='max' or mode='min'"),
        ({"mode": "up"}, ValueError, "`mode` is one of auto, max, min. Received: mode='up'"),
        ({"mode": np.ones(2)}, ValueError, r"Received: mode=array\("),
        ({"criterion": "tailor"}, ValueError, "Unknown criterion. Received: 'tailor'. Known: act"),
        ({"criterion": 3}, TypeError, "`criterion` is a name .* Received: 3"),
        ({"criterion": "activation"}, ValueError, r"Received: scoring_data=None. Give `sc"),
        ({"retrain_epochs": 0}, ValueError, "`retrain_epochs` is an integer, 1 or more"),
        ({"retrain_epochs": 2.0}, ValueError, "Received: retrain_epochs=2.0"),
        ({"retrain_epochs": True}, ValueError, "Received: retrain_epochs=True"),
        ({"warmup_epochs": -1}, ValueError, "`warmup_epochs` is an integer, 0 or more"),
        ({"warmup_epochs": "3"}, ValueError, "Received: warmup_epochs='3'"),
        ({"max_trials": 0}, ValueError, "`max_trials` is an integer, 1 or more, or None"),
        ({"round_to": 1.5}, ValueError, "`round_to` is an integer, 1 or more, or None"),
        ({"first_step": 1}, ValueError, "`first_step` lies between 0 and 1"),
        ({"min_step": 0.9}, ValueError, "`min_step` lies between 0 and first_step=0.64"),
        ({"beta": -1}, ValueError, "`beta` is a number, 0 or more"),
        ({"gamma": None}, ValueError, "`gamma` is a number, 0 or more"),
        ({"prune_inputs": "yes"}, ValueError, "`prune_inputs` is True or False. Received: 'yes'"),
        ({"stop_when_done": 1}, ValueError, "`stop_when_done` is True or False. Received: 1"),
        ({"verbose": 3}, ValueError, "`verbose` is 'auto', 0, 1 or 2. Received: verbose=3"),
        ({"verbose": "loud"}, ValueError, "Received: verbose='loud'"),
        ({"verbose": np.ones(2)}, ValueError, r"Received: verbose=array\("),
        ({"directory": ""}, TypeError, "`directory` is a path or None. Received: ''"),
        ({"directory": np.ones(2)}, TypeError, r"Received: array\("),
        ({"layers": 3}, TypeError, "`layers` is a layer name, a regular expression"),
        ({"layers": int}, TypeError, "Received: <class 'int'>"),
        ({"scoring_data": iter([1])}, ValueError, "`scoring_data` is read several times"),
        ({"scoring_data": 3}, ValueError, "`scoring_data` is .* Received: int"),
        ({"compensate": "mean"}, ValueError, r"Received: scoring_data=None. Give `scoring_data="),
        ({"compensate": 1}, ValueError, "`compensate` is one of .* Received: compensate=1"),
        ({"scoring_data": (1,)}, ValueError, r"needs labelled data: `scoring_data=\(x, y\)`"),
        ({"scoring_data": np.ones((3, 64))}, ValueError, "an array of shape"),
        ({"scoring_data": (np.ones((3, 64)), np.ones(2))}, ValueError, "one entry per example"),
    ],
    # Processes that share the tests out name them alike, so that no address stands in a name.
    ids=lambda value: (
        "_".join(map(str, *value.items())).split(" at 0x")[0] if isinstance(value, dict) else ""
    ),
)
def test_arguments(options, error, message):
    with pytest.raises(error, match=message):
        SnareCallback(**options)


def _refused(model, snare, error, message, **options):
    """`fit` raises before the first step and leaves the model alone."""
    model.optimizer.build(model.trainable_variables)
    before, layers, spy = state_of(model), [layer.name for layer in model.layers], Spy()
    with pytest.raises(error, match=message):
        short_fit(model, [spy, snare], **options)
    assert spy.states == []
    assert same(state_of(model), before)
    assert [layer.name for layer in model.layers] == layers
    assert leftovers(model) == []


@pytest.mark.parametrize(
    ("snare", "error", "message"),
    [
        (
            {"monitor": "val_acc"},
            ValueError,
            "Received: monitor='val_acc'. There are: loss, accuracy, val_loss, val_accuracy. Add",
        ),
        ({"monitor": "val_auc"}, ValueError, "`monitor` is not a metric of the model"),
        (
            {"layers": "hiden1"},
            ValueError,
            "`layers` matches no layer.*Received: 'hiden1'. .* can be cut: hidden1, hidden2",
        ),
        ({"layers": keras.layers.Conv2D}, ValueError, "`layers` matches no layer"),
        (
            {"scoring_data": (np.ones((3, 63)), np.ones(3))},
            ValueError,
            r"of the shapes \[\(None, 64\)\]. Received: \[\(1, 63\)\]",
        ),
        ({"scoring_data": (np.ones((0, 64)), np.ones(0))}, ValueError, "Received: none"),
    ],
    ids="monitor other_monitor layers layer_class features no_examples".split(),
)
def test_what_the_model_does_not_have(snare, error, message):
    _refused(digit_model(run_eagerly=True), SnareCallback(eps=0.1, **snare), error, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_data": None}, r"monitor='val_accuracy' needs validation data. Give `valid"),
        ({"validation_freq": 2}, "needs validation_freq=1. Received: validation_freq=2"),
    ],
    ids="none seldom".split(),
)
def test_validation(options, message):
    _refused(digit_model(run_eagerly=True), SnareCallback(), ValueError, message, **options)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ((), "no layer whose units can be cut .*digit: its width is the model's output"),
        ((1,), "no layer whose units can be cut .*hidden1: it has a single unit"),
    ],
    ids="output single".split(),
)
def test_no_layer_to_cut(units, message):
    model = compiled(dense_model(64, units, 10))
    _refused(model, SnareCallback(), UnsupportedModelError, message)


def test_a_frozen_reader():
    model = digit_model(run_eagerly=True)
    model.get_layer("hidden2").trainable = False
    compiled(model)
    message = "Layer 'hidden2', by whose weights layer 'hidden1' is scored, is not trained"
    _refused(model, SnareCallback(), UnsupportedModelError, message)
    short_fit(model, [SnareCallback(layers="hidden2", max_trials=1, eps=1.0)])
    assert widths(model) == [16, 5, 10]


def test_a_subclassed_model():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dense(10, activation="softmax", name="inner")

        def call(self, inputs):
            return self.inner(inputs)

    model = compiled(Own())
    with pytest.raises(UnsupportedModelError, match="'own' is not built .*give it a keras.Input"):
        short_fit(model, [SnareCallback()])
    model.predict(np.zeros((1, 64)), verbose=0)
    message = "no layer whose units can be cut .inner: its width is the model's output"
    _refused(model, SnareCallback(), UnsupportedModelError, message)


def test_prune_inputs_of_a_convolution():
    model = compiled(
        keras.Sequential(
            [
                keras.Input((64, 1)),
                keras.layers.Conv1D(2, 3, name="conv"),
                keras.layers.Flatten(),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
    )
    (x, y), (x_val, y_val) = flat_digits(200, 100)
    weights = model.get_weights()
    with pytest.raises(UnsupportedModelError, match=r"first layer with weights here is: conv \(Co"):
        model.fit(
            x[..., None],
            y,
            validation_data=(x_val[..., None], y_val),
            epochs=6,
            verbose=0,
            callbacks=[SnareCallback(prune_inputs=True)],
        )
    assert same(model.get_weights(), weights)


def test_a_model_that_is_not_built():
    hidden = [keras.layers.Dense(units, activation="relu") for units in UNITS]
    model = compiled(keras.Sequential([*hidden, keras.layers.Dense(10, activation="softmax")]))
    with pytest.raises(UnsupportedModelError, match="is not built .*Call model.build"):
        short_fit(model, [SnareCallback()])
    model.build((None, 64))
    short_fit(model, [SnareCallback(eps=1.0, max_trials=1)])
    assert widths(model) == [6, 12, 10]


@pytest.mark.parametrize(
    ("epochs", "options", "needed"),
    [
        (
            5,
            {},
            "fit runs for 5 epochs; one trial may take 6 .warm-up 1, retraining 5.. Give epochs=6",
        ),
        (
            4,
            {"warmup_epochs": 3, "retrain_epochs": 2},
            "4 epochs; one trial may take 5 .*epochs=5 or",
        ),
    ],
    ids="default warmup".split(),
)
def test_too_few_epochs_for_a_trial_are_warned_of(epochs, options, needed):
    # As an error, the warning also ends fit: nothing more is needed of it here.
    with pytest.raises(UserWarning, match=needed):
        short_fit(digit_model(run_eagerly=True), [SnareCallback(**options)], epochs=epochs)


def test_epochs_of_an_earlier_fit_do_not_count():
    with pytest.raises(UserWarning, match="fit runs for 5 epochs; .* Give epochs=16 or more"):
        short_fit(digit_model(run_eagerly=True), [SnareCallback()], epochs=15, initial_epoch=10)


def test_enough_epochs_raise_no_warning():
    model = digit_model(run_eagerly=True)
    short_fit(model, [SnareCallback(eps=1.0, max_trials=1, retrain_epochs=2)], epochs=3)
    assert widths(model) == [6, 12, 10]


def test_several_outputs_name_their_metrics_when_they_are_evaluated():
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(8, name="hidden")(inputs)
    outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in ("one", "two")}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"one": "mse", "two": "mse"}, jit_compile=False)
    x = np.zeros((8, 64), "float32")
    y = {name: np.zeros((8, 1), "float32") for name in outputs}
    options = {"validation_data": (x, y), "epochs": 6, "verbose": 0}
    weights, spy = model.get_weights(), Spy()
    with pytest.raises(ValueError, match="not among the logs.*'val_three_loss'.*val_two_loss"):
        model.fit(x, y, callbacks=[spy, SnareCallback(monitor="val_three_loss")], **options)
    assert spy.states == []
    assert same(model.get_weights(), weights)
    assert leftovers(model) == []
    snare = SnareCallback(eps=9.0, monitor="val_two_loss", max_trials=1)
    model.fit(x, y, callbacks=[snare], **options)
    assert model.get_layer("hidden").units == 3
