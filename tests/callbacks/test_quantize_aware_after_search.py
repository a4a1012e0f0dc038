"""A search and quantized epochs in one `fit`: first the network becomes small, then integer."""

import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.quantize.interpreter import interpreter_of

layers = keras.layers
RANDOM = np.random.default_rng(0)
Y = RANDOM.integers(0, 3, 40)
X = (RANDOM.random((40, 6)) * 0.5 + 0.3 * Y[:, None]).astype("float32")


def network():
    keras.utils.set_random_seed(0)
    model = models.chain(
        (6,), layers.Dense(8, "relu", name="a"), layers.Dense(3, "softmax", name="b")
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Widths(keras.callbacks.Callback):
    """Notes how wide the network is in each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(self.model.get_layer("a").units)


@pytest.mark.filterwarnings("ignore:fit runs for 5 epochs")
@pytest.mark.parametrize(
    ("settings", "state", "snare_first", "engine"),
    [
        pytest.param(
            {"eps": 1.0, "max_trials": 1, "retrain_epochs": 1},
            "over",
            True,
            "tfmot",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"eps": 1.0, "retrain_epochs": 1}, "accepting", False, "tfmot", marks=pytest.mark.slow
        ),
        ({"eps": 0.1, "monitor": "loss", "retrain_epochs": 9}, "in its first trial", True, "tfmot"),
        pytest.param(
            {"eps": 0.1, "monitor": "loss", "retrain_epochs": 9},
            "in its first trial",
            False,
            "tfmot",
            marks=pytest.mark.slow,
        ),
        ({"eps": 1.0, "warmup_epochs": 9}, "warming up", True, "tfmot"),
        pytest.param(
            {"eps": 1.0, "retrain_epochs": 1}, "accepting", True, "keras", marks=pytest.mark.slow
        ),
        pytest.param(
            {"eps": 0.1, "monitor": "loss", "retrain_epochs": 9},
            "in its first trial",
            True,
            "keras",
            marks=pytest.mark.slow,
        ),
    ],
    ids=[
        "over",
        "accepting",
        "in a trial",
        "in a trial, behind",
        "warming up",
        "accepting, keras",
        "in a trial, keras",
    ],
)
def test_search_ends_where_quantized_epochs_begin(settings, state, snare_first, engine, tmp_path):
    model, path, widths = network(), tmp_path / "small.tflite", Widths()
    snare = keras_snare.SnareCallback(stop_when_done=False, verbose=0, **settings)
    quantize = keras_snare.QuantizeAwareCallback(3, path=path, representative_data=X, engine=engine)
    order = [snare, quantize] if snare_first else [quantize, snare]
    worse = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(loss=float(epoch))
    )
    table = tmp_path / "log.csv"
    history = model.fit(
        X,
        Y,
        validation_data=(X, Y),
        batch_size=40,
        epochs=5,
        verbose=0,
        callbacks=[worse, *order, widths, keras.callbacks.CSVLogger(table)],
    ).history
    assert history["quantized"] == [0, 0, 0, 1, 1]
    cut, trials = model.get_layer("a").units, snare.report.accepted
    assert (cut < 8) == (trials > 0) == (state in ("over", "accepting"))
    assert widths.seen[3:] == [cut, cut]
    if state == "in its first trial":
        assert widths.seen[2] < 8
    assert history["snare_params"][3:] == [model.count_params()] * 2
    assert history["snare_trial"][3:] == [0, 0]
    assert history["snare_accepted"][3:] == [trials] * 2
    assert len(table.read_text().splitlines()) == 6
    names = [one.name.split("/")[-1] for one in quantize.quantized_model.weights]
    assert sorted(
        tuple(one.shape)
        for one, name in zip(quantize.quantized_model.weights, names, strict=True)
        if name.removesuffix(":0") in ("kernel", "bias")
    ) == sorted(tuple(one.shape) for one in model.trainable_weights)
    (end,) = interpreter_of(path.read_bytes()).get_output_details()
    assert end["dtype"] == np.int8
    assert not {"call", "evaluate"} & set(vars(model))
    model.fit(X, Y, verbose=0)


def test_ending_no_search_does_nothing():
    model = network()
    snare = keras_snare.SnareCallback()
    snare.set_model(model)
    snare.end_search()
    assert snare.report is None
