"""`SynFlowCallback` inside `fit`."""

import keras
import numpy as np
import pytest
from fitting import Bomb, leftovers
from training import compiled, conv_model, dense_model, random_data, same, state_of, weights_of

import keras_snare
from keras_snare import Masks, SynFlowCallback
from keras_snare.masking import ConnectionCriterion

layers = keras.layers


def _fit(model, *callbacks, epochs=3, **options):
    x, y = random_data(model, 32)
    options = {"batch_size": 8, "epochs": epochs, "verbose": 0, **options}
    return model.fit(x, y, callbacks=list(callbacks), **options).history


class _Steps(keras.callbacks.Callback):
    """Notes the weights at the beginning, and which are zero after every step."""

    def on_train_begin(self, logs=None):
        self.zeros = []

    def on_train_batch_begin(self, batch, logs=None):
        self.zeros.append(Masks.of(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.zeros.append(Masks.of(self.model))


def test_masks_are_those_of_sparsify_and_hold_from_the_first_step():
    model = compiled(conv_model(), keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True))
    other = conv_model()
    other.set_weights(model.get_weights())
    expected = keras_snare.sparsify(other, 0.8, criterion="synflow", rounds=30)
    steps, prune = _Steps(), SynFlowCallback(0.8, rounds=30)
    history = _fit(model, prune, steps)
    assert len(steps.zeros) == 24
    for found in (*steps.zeros, prune.masks, Masks.of(model)):
        assert list(found) == list(expected)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert history["sparsity"] == [expected.sparsity] * 3
    for name in ("conv1", "conv2", "digit"):
        kept = expected[f"{name}/kernel"]
        assert history[f"sparsity_{name}"] == [pytest.approx(1 - kept.mean())] * 3
        assert kept.any()
    assert leftovers(model) == []
    assert prune.report is None
    assert repr(prune) == "SynFlowCallback(sparsity=0.8, rounds=30)"


def test_a_second_fit_keeps_what_is_pruned_and_another_model_starts_anew(tmp_path):
    model, prune = compiled(dense_model(8, (12, 12))), SynFlowCallback(0.7, rounds=5)
    _fit(model, prune)
    first = prune.masks
    first.save(tmp_path / "masks.npz")
    _fit(model, prune, epochs=5, initial_epoch=3)
    assert all(np.array_equal(prune.masks[name], first[name]) for name in first)
    further = SynFlowCallback(
        0.9, rounds=2, criterion="random", initial_masks=tmp_path / "masks.npz"
    )
    _fit(model, further)
    assert all((further.masks[name] <= first[name]).all() for name in first)
    assert further.masks.sparsity == pytest.approx(0.9, abs=0.01)
    other = compiled(dense_model(6, (5, 5)))
    _fit(other, prune)
    assert prune.masks["hidden1/kernel"].shape == (6, 5)
    assert prune.masks.sparsity == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("name", ["snip", "grasp"])
def test_criteria_on_data(name):
    model = compiled(conv_model())
    data = random_data(model, 20)
    before = weights_of(model)
    expected = keras_snare.sparsify(model, 0.5, criterion=name, data=data)
    model.set_weights(before)
    prune = SynFlowCallback(0.5, rounds=1, criterion=name, scoring_data=data)
    _fit(model, prune)
    assert all(np.array_equal(prune.masks[kernel], expected[kernel]) for kernel in expected)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_units_are_removed_for_real(scope):
    model = compiled(conv_model())
    other = compiled(conv_model())
    other.set_weights(model.get_weights())
    options = {"global": {"normalize": "none"}, "layer": {"scope": "local"}}[scope]
    expected = keras_snare.prune(other, 0.5, criterion="synflow", rounds=7, **options)
    prune = SynFlowCallback(0.5, rounds=7, structured=True, scope=scope)
    history = _fit(model, prune)
    assert prune.masks is None
    assert prune.report.plan == expected.plan
    assert prune.report.params_after == model.count_params() == history["snare_params"][0]
    assert history["sparsity"] == [pytest.approx(4 / 9)] * 3
    assert model.get_layer("conv1").filters == other.get_layer("conv1").filters
    assert leftovers(model) == []


def test_dead_units_are_removed_in_the_end():
    model = compiled(dense_model(8, (16, 16)))
    prune = SynFlowCallback(0.93, rounds=20, remove_dead=True)
    _fit(model, prune, epochs=1)
    assert prune.report.params_after < prune.report.params_before
    assert model.get_layer("hidden1").units < 16
    assert Masks.of(model).kept == prune.masks.kept


def test_weights_that_another_callback_puts_in_are_the_ones_that_count():
    model, trained = (compiled(dense_model(8, (12, 12))) for _ in range(2))
    values = weights_of(trained)

    class PutIn(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.set_weights(values)

    prune = SynFlowCallback(0.7, rounds=5)
    _fit(model, prune, PutIn())
    expected = keras_snare.sparsify(trained, 0.7, criterion="synflow", rounds=5)
    assert all(np.array_equal(prune.masks[name], expected[name]) for name in expected)


class _Failing(ConnectionCriterion):
    """Fails in the second round."""

    needs = "network"

    def __init__(self, error):
        self.error, self.rounds = error, 0

    def measure(self, model, kernels, data):
        self.rounds += 1
        if self.rounds == 2:
            raise self.error

    def score(self, kernel, weights, measured):
        return np.abs(weights)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("no luck")], ids=type)
def test_a_killed_measurement_leaves_everything(error):
    model = compiled(dense_model())
    model.optimizer.build(model.trainable_variables)
    before = state_of(model)
    with pytest.raises(type(error)):
        _fit(model, SynFlowCallback(0.5, rounds=3, criterion=_Failing(error)))
    assert same(state_of(model), before)
    assert leftovers(model) == []
    _fit(model, SynFlowCallback(0.5, rounds=3))
    assert Masks.of(model).sparsity == pytest.approx(0.5, abs=0.02)


def test_an_exception_in_training_leaves_a_plain_sparse_model():
    model, prune = compiled(dense_model(8, (12, 12))), SynFlowCallback(0.5, rounds=2)
    with pytest.raises(ZeroDivisionError):
        _fit(model, prune, Bomb("on_train_batch_end", 5, ZeroDivisionError()))
    assert leftovers(model) == []
    assert Masks.of(model).sparsity == pytest.approx(0.5, abs=0.02)


DATA = (np.ones((2, 4)), np.zeros(2))
WRONG = {
    "sparsity": ({"sparsity": 0}, ValueError, "`sparsity` is the share to prune.*sparsity=0"),
    "rounds": ({"rounds": 2.5}, ValueError, "`rounds` is an integer.*rounds=2.5"),
    "criterion": ({"criterion": 3}, TypeError, "`criterion` is a name.*synflow"),
    "no_data": ({"criterion": "snip"}, ValueError, "received none. Give `scoring_data="),
    "idle_data": ({"scoring_data": DATA}, ValueError, "Received: scoring_data. Leave it out"),
    "listening": ({"criterion": "taylor"}, ValueError, "received none. Give `scoring_data="),
    "scope": ({"scope": "local"}, ValueError, "`scope` is one of layer, global, erk"),
    "pattern": ({"sparsity": 0.9, "pattern": (2, 4)}, ValueError, "Leave `sparsity` out"),
    "layers": ({"layers": 3}, TypeError, "`layers`"),
    "masks": ({"initial_masks": 3}, TypeError, "Masks are keras_snare.Masks, or a file"),
    "flag": ({"structured": 1}, ValueError, "`structured` is True or False"),
    "dead": ({"remove_dead": None}, ValueError, "`remove_dead` is True or False"),
    "units": ({"structured": True, "block": (2, 2)}, ValueError, "`block` is for connections"),
    "units_scope": ({"structured": True, "scope": "erk"}, ValueError, "'layer' or 'global'"),
    "units_name": ({"structured": True, "criterion": "snip"}, ValueError, "Unknown criterion"),
    "units_idle": (
        {"structured": True, "scoring_data": DATA},
        ValueError,
        "SynFlowCriterion.*does not look at data. Received: scoring_data. Leave it out",
    ),
    "units_data": (
        {"structured": True, "criterion": "taylor"},
        ValueError,
        "does not see those of `fit`.*choose 'synflow' or a criterion on weights",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arguments_are_refused(kind):
    options, error, message = WRONG[kind]
    with pytest.raises(error, match=message):
        SynFlowCallback(**options)


def test_models_that_do_not_suit_are_refused_before_any_training():
    model = compiled(dense_model())
    before = weights_of(model)
    for prune, error, message in (
        (SynFlowCallback(layers="none"), ValueError, "matches no layer that has connections"),
        (SynFlowCallback(structured=True, layers="none"), ValueError, "none"),
        (SynFlowCallback(initial_masks=Masks({"a": [True]})), ValueError, "name the kernel 'a'"),
    ):
        with pytest.raises(error, match=message):
            _fit(model, prune)
    with pytest.raises(ValueError, match="One callback at a time can prune"):
        _fit(model, SynFlowCallback(), keras_snare.MagnitudePruneCallback())
    assert same(weights_of(model), before)
    assert leftovers(model) == []
    prune = SynFlowCallback()
    prune.set_model(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(keras_snare.UnsupportedModelError, match="is not built or has no optimizer"):
        prune.on_train_begin()


def _vgg(width):
    """The 13 convolutions of VGG-16 for small images, as they are trained on CIFAR-10."""
    parts = []
    for count, repeats in ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3)):
        for _ in range(repeats):
            parts.append(layers.Conv2D(count * width, 3, padding="same", use_bias=False))
            parts += [layers.BatchNormalization(), layers.ReLU()]
        parts.append(layers.MaxPooling2D())
    return compiled(
        keras.Sequential(
            [keras.Input((32, 32, 3)), *parts, layers.Flatten(), layers.Dense(10, "softmax")]
        )
    )


@pytest.mark.slow
def test_no_layer_is_emptied_where_other_criteria_empty_some():
    """At a thousandth of the connections, as the paper has it."""
    left = {}
    for name, rounds in (("synflow", 100), ("synflow", 1), ("magnitude", 1), ("snip", 1)):
        keras.utils.set_random_seed(0)
        model = _vgg(8)
        data = random_data(model, 64) if name == "snip" else None
        masks = keras_snare.sparsify(model, 0.999, criterion=name, rounds=rounds, data=data)
        assert masks.sparsity == pytest.approx(0.999, abs=1e-5)
        assert len(masks) == 14
        left[name, rounds] = min(int(one.sum()) for one in masks.values())
    assert left.pop(("synflow", 100)) >= 5
    assert set(left.values()) == {0}
