"""`RateCallback` in `fit`: rounded weights throughout, few bits in the end, a plain model."""

import warnings

import keras
import models
import numpy as np
import pytest
from fitting import Bomb, leftovers

import keras_snare
from keras_snare import RateCallback
from keras_snare.codec.coding import from_integers, to_integers

layers = keras.layers
RANDOM = np.random.default_rng(0)
Y = RANDOM.integers(0, 3, 48)
X = (RANDOM.random((48, 4, 3)) * 0.5 + 0.3 * Y[:, None, None]).astype("float32")
LOSS = "sparse_categorical_crossentropy"


def network(optimizer="adam", policy=None, **settings):
    keras.utils.set_random_seed(0)
    model = models.chain(
        (4, 3),
        layers.Flatten(),
        layers.Dense(8, "relu", name="a", dtype=policy),
        layers.Dense(3, "softmax", name="b", dtype=policy),
    )
    settings = {"jit_compile": False} | settings
    model.compile(optimizer, LOSS, metrics=["accuracy"], **settings)
    return model


def fit(model, *callbacks, epochs=4, **settings):
    return model.fit(
        X,
        Y,
        batch_size=8,
        epochs=epochs,
        verbose=0,
        validation_data=(X, Y),
        callbacks=list(callbacks),
        **settings,
    ).history


def of_the_file(model, codings) -> list[np.ndarray]:
    """What integers in units of the steps give back, for each variable."""
    found = []
    for one in model.trainable_variables:
        value, coding = np.asarray(one.value), codings[one.path]
        integers = to_integers(value, coding)
        found.append(from_integers(integers, coding, value.shape, value.dtype))
    return found


class Rounded(keras.callbacks.Callback):
    """Notes how far the weights are from multiples of their steps, between steps."""

    def __init__(self, rate):
        super().__init__()
        self.rate, self.most = rate, []

    def on_train_batch_end(self, batch, logs=None):
        weights = self.rate._run._step.weights if self.rate._run._step else []
        codings = {one.place.name: one.coding for one in weights}
        if codings:
            pairs = zip(of_the_file(self.model, codings), self.model.get_weights(), strict=True)
            self.most.append(max(abs(one - other).max() for one, other in pairs))


WAYS = {
    "xla": {"jit_compile": True},
    "clipping": {"optimizer": lambda: keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=1.0)},
    "several steps": {"steps_per_execution": 3},
    "mixed": {"policy": "mixed_float16"},
}


@pytest.mark.parametrize(
    "way", [pytest.param(one, marks=[pytest.mark.slow] * (one != "mixed")) for one in WAYS]
)
def test_model_is_what_a_file_gives_back(way, tmp_path):
    settings = {"optimizer": lambda: keras.optimizers.Adam(0.01), **WAYS[way]}
    model = network(settings.pop("optimizer")(), **settings)
    rate = RateCallback(10.0, start_epoch=1, path=tmp_path / "model.snare")
    rounded, variables = Rounded(rate), model.variables
    history = fit(model, rate, rounded, epochs=8)
    assert max(rounded.most) < 1e-5
    assert np.isnan(history["snare_bytes"][0])
    assert history["snare_bytes"][-1] < history["snare_bytes"][1]
    numbers = sum(one.size for one in model.get_weights())
    bits = np.multiply(history["snare_bits"][1:], numbers / 8)
    np.testing.assert_allclose(history["snare_bytes"][1:], bits)
    assert {coding.transform for coding in rate.codings.values()} == {"dct", "none"}
    unpacked = keras_snare.unpack(rate.path).get_weights()
    for one, value in zip(unpacked, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, value)
    assert rate.report.bytes == rate.path.stat().st_size
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-3)
    assert found["accuracy"] == pytest.approx(history["val_accuracy"][-1])
    assert all(one is other for one, other in zip(model.variables, variables, strict=True))
    assert leftovers(model) == []


def test_dearer_bytes_are_fewer_and_a_second_fit_goes_on():
    sizes = []
    for price in (40.0, 0.1):
        model, rate = network(keras.optimizers.Adam(0.01)), RateCallback(price)
        sizes.append(fit(model, rate, epochs=5)["snare_bytes"][-1])
    assert sizes[0] < 0.6 * sizes[1]
    before, found = dict(rate.codings), model.evaluate(X, Y, verbose=0)[0]
    model.optimizer.learning_rate = 0.0
    history = fit(model, rate, epochs=1)
    for name, coding in rate.codings.items():
        assert coding.step == pytest.approx(before[name].step, rel=0.2)
    assert history["loss"][0] == pytest.approx(found, rel=0.2)


def test_with_layers_and_without_biases():
    model = network()
    before = model.get_layer("a").get_weights()
    rate = RateCallback(layers="b")
    fit(model, rate, epochs=1)
    names = {name.split("/", 1)[1] for name in rate.codings}
    assert names == {"b/kernel", "b/bias"}
    assert not any(map(np.array_equal, before, model.get_layer("a").get_weights()))
    assert repr(RateCallback(0.5, layers="b")) == "RateCallback(rate=0.5, layers='b')"


@pytest.mark.filterwarnings("ignore:fit runs for 5 epochs")
@pytest.mark.parametrize(
    "behind",
    [pytest.param(False, marks=pytest.mark.slow, id="in front"), pytest.param(True, id="behind")],
)
def test_search_ends_where_bytes_begin_to_count(behind):
    model, rate = network(), RateCallback(start_epoch=3)
    snare = keras_snare.SnareCallback(
        eps=1.0, retrain_epochs=1, max_trials=1, stop_when_done=False, verbose=0
    )
    calls = [rate, snare] if behind else [snare, rate]
    history = fit(model, *calls, epochs=5)
    assert model.get_layer("a").units < 8
    assert np.isfinite(history["snare_bytes"]).tolist() == [False] * 3 + [True] * 2
    for one, value in zip(of_the_file(model, rate.codings), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, value)


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.SGD], ids=["adam", "clipping"])
def test_zeros_stay_zeros_and_a_teacher_may_teach(optimizer):
    optimizer = optimizer if isinstance(optimizer, str) else optimizer(0.1, clipnorm=1.0)
    model, rate = network(optimizer), RateCallback(0.1, start_epoch=1)
    prune = keras_snare.MagnitudePruneCallback(0.6, end_epoch=3)
    taught = keras_snare.DistillationCallback(network())
    history = fit(model, prune, taught, rate, epochs=5)
    assert np.isfinite(history["distillation_loss"]).all()
    for name, keep in prune.masks.items():
        layer = model.get_layer(name.split("/")[0])
        assert not np.asarray(layer.kernel.value)[~keep].any()
    for one, value in zip(of_the_file(model, rate.codings), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, value)
    assert {coding.transform for coding in rate.codings.values()} == {"none"}
    assert leftovers(model) == []


@pytest.mark.parametrize(
    "hook", ["on_train_batch_end", pytest.param("on_test_end", marks=pytest.mark.slow)]
)
def test_interrupt_leaves_a_plain_model_with_rounded_weights(hook):
    model, rate = network(), RateCallback(0.3)
    with pytest.raises(KeyboardInterrupt):
        fit(model, rate, Bomb(hook, 1, KeyboardInterrupt()))
    assert leftovers(model) == []
    assert rate.codings is None
    assert all(len(np.unique(np.round(one, 4))) < one.size for one in model.get_weights()[2:3])


def stopping(**settings):
    return keras.callbacks.EarlyStopping("loss", **settings)


@pytest.mark.parametrize(
    ("settings", "others", "message"),
    [
        ({"start_epoch": 4}, [], r"reaches `start_epoch`, 4.*fit\(epochs=4\)"),
        ({}, [RateCallback()], "RateCallback with RateCallback"),
        ({}, [keras_snare.ClusterCallback()], "fit twice"),
        ({}, [keras_snare.MagnitudePruneCallback(0.5, structured=True)], "fit twice"),
        ({}, [keras_snare.MagnitudePruneCallback(0.5)], "Change their order"),
        ({}, [keras_snare.SnareCallback()], "stop_when_done=False"),
        ({}, [stopping(restore_best_weights=True)], "weights of another epoch"),
        ({"grids": {"c": (2, 2)}}, [], "Received: 'c'"),
        ({"path": "no folder/model.snare"}, [], "folder of `path` exists"),
        ({"path": "."}, [], "that of a file"),
        ({"layers": "c"}, [], "'c'"),
    ],
    ids=lambda one: str(one)[:40],
)
def test_fit_is_refused_before_it_trains(settings, others, message):
    model = network()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, RateCallback(**settings), *others)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert leftovers(model) == []


def test_fit_that_stops_too_early_warns():
    model, rate = network(), RateCallback(start_epoch=2)
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", True)
    )
    # The oldest Keras warns of NumPy as well, which pytest.warns would pass on.
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        fit(model, rate, stop)
    told = [str(one.message) for one in found if one.category is UserWarning]
    assert any("before epoch 2, the first to be trained for few bytes" in one for one in told)
    assert rate.codings is None
    assert leftovers(model) == []


def test_averaged_weights_are_refused():
    model = network(keras.optimizers.Adam(use_ema=True))
    with pytest.raises(keras_snare.UnsupportedModelError, match="use_ema=True"):
        fit(model, RateCallback())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rate": 0}, ValueError, r"greater than 0.*rate=0"),
        ({"rate": "much"}, ValueError, r"rate='much'"),
        ({"start_epoch": -1}, ValueError, r"start_epoch=-1"),
        ({"grids": [(2, 2)]}, TypeError, r"grids=\[\(2, 2\)\]"),
        ({"grids": {"a/kernel": (2, 2, 2, 2)}}, ValueError, r"a/kernel.*of integers, 1 or more"),
        ({"grids": {"a/kernel": (4.0, 4.0)}}, ValueError, r"a/kernel.*of integers, 1 or more"),
        ({"grids": {"a/kernel": 4}}, ValueError, r"a/kernel.*of integers, 1 or more"),
        ({"grids": {"a/kernel": "ab"}}, ValueError, r"a/kernel.*of integers, 1 or more"),
        ({"path": 3}, TypeError, "path=3"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_arguments_are_checked(settings, error, message):
    with pytest.raises(error, match=message):
        RateCallback(**settings)


@pytest.mark.slow
def test_weights_that_end_not_finite_warn_and_give_no_codings(tmp_path):
    model, rate = network(), RateCallback(path=tmp_path / "model.snare")
    broken = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: model.weights[0].assign(
            np.full(model.weights[0].shape, np.nan)
        )
    )
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        fit(model, rate, broken)
    told = [str(one.message) for one in found if one.category is UserWarning]
    assert any("weights that are not finite" in one for one in told)
    assert (rate.codings, rate.report) == (None, None)
    assert list(tmp_path.iterdir()) == []
    assert leftovers(model) == []
