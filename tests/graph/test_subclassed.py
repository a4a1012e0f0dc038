"""Subclassed models: the graph of their call is read, cut and undone like any other."""

import cuts
import keras
import models
import numpy as np
import pytest
from state import assert_same_state, state_of

import keras_snare
from keras_snare.graph import channel_groups, trace
from keras_snare.surgery import removed_channels

layers, ops = keras.layers, keras.ops


class Own(keras.Model):
    """A model whose layers are given, and whose call is written in a subclass."""

    def __init__(self, name=None, **parts):
        super().__init__(name=name)
        for part, layer in parts.items():
            setattr(self, part, layer)


class Residual(Own):
    """Layers, functions of `keras.ops`, a branch, and one layer called twice."""

    def __init__(self, **options):
        super().__init__(
            stem=layers.Dense(5, "relu", name="stem"),
            inner=layers.Dense(4, name="inner"),
            norm=layers.BatchNormalization(name="norm"),
            branch=layers.Dense(5, name="branch"),
            drop=layers.Dropout(0.5),
            last=layers.Dense(3, name="last"),
            **options,
        )

    def call(self, inputs, training=None):
        stream = self.stem(inputs)
        for _ in range(2):
            found = ops.gelu(self.norm(self.inner(stream), training=training))
            stream = stream + 0.5 * self.branch(found)
        return self.last(self.drop(ops.mean(ops.tanh(stream), axis=1), training=training))


class OfDict(Own):
    def call(self, inputs):
        return self.last(self.one(inputs["a"]) + ops.mean(self.other(inputs["b"]), axis=1))


class OfList(Own):
    def call(self, inputs):
        return {"sum": self.last(self.one(inputs[0]) + ops.mean(self.other(inputs[1]), axis=1))}


class OfTokens(Own):
    def call(self, inputs):
        known = ops.cast(ops.not_equal(inputs, 0), "float32")
        return self.last(self.table(inputs) * ops.expand_dims(known, -1))


class WithNested(Own):
    """A Sequential and a functional model inside."""

    def call(self, inputs, training=None):
        return self.last(self.second(self.first(inputs, training=training)))


def _several(kind):
    parts = {
        "one": layers.Dense(5, name="one"),
        "other": layers.Dense(5, name="other"),
        "last": layers.Dense(3, name="last"),
    }
    return kind(**parts)


def _nested():
    first = keras.Sequential(
        [layers.Dense(5, name="unit"), layers.BatchNormalization()], name="first"
    )
    inner = keras.Input((5,))
    second = keras.Model(inner, layers.Dense(4, "relu", name="deep")(inner), name="second")
    return WithNested(first=first, second=second, last=layers.Dense(3, name="last"))


def numbers(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


# Each with what it is called on.
MODELS = {
    "residual": (Residual, numbers(4, 2, 6)),
    "dict": (lambda: _several(OfDict), {"b": numbers(4, 2, 6), "a": numbers(4, 5)}),
    "list": (lambda: _several(OfList), [numbers(4, 5), numbers(4, 2, 6)]),
    "tokens": (
        lambda: OfTokens(table=layers.Embedding(7, 5, name="table"), last=layers.Dense(3)),
        np.arange(8, dtype="int32").reshape(4, 2) % 7,
    ),
    "nested": (_nested, numbers(4, 6)),
}


def called(name):
    """A model that was called once, and its inputs; the same weights and names every time."""
    keras.utils.clear_session(free_memory=False)
    build, inputs = MODELS[name]
    model = build()
    model(inputs)
    return models.randomize(model), inputs


def test_groups_of_layers_and_functions():
    groups = channel_groups(called("residual")[0])
    assert groups["stem"] is groups["branch"]
    assert [(group.name, group.width) for group in groups.prunable()] == [("stem", 5), ("inner", 4)]
    assert groups["last"].reason == "its width is the model's output"


def test_groups_of_the_models_inside():
    groups = channel_groups(called("nested")[0])
    assert [group.name for group in groups] == ["first/unit", "second/deep", "last"]


def test_costs_are_those_of_the_functional_model():
    model, inputs = called("residual")
    symbolic = keras.Input(inputs.shape[1:])
    twin = keras.Model(symbolic, Residual.call(model, symbolic))
    found, expected = keras_snare.cost(model), keras_snare.cost(twin)
    assert (found.params, found.flops) == (expected.params, expected.flops)
    assert found.params == model.count_params()


def test_run_computes_what_the_model_computes():
    model, inputs = called("residual")
    (found,) = trace(model).run([inputs], lambda call, key, value: value)
    np.testing.assert_allclose(found, model(inputs), atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_cut_model_computes_what_the_silenced_one_does(name):
    (model, inputs), (reference, _) = called(name), called(name)
    groups = channel_groups(reference)
    plan = cuts.halves(groups)
    cuts.silence_readers(groups, removed_channels(groups, plan))
    keras_snare.shrink(model, plan)
    assert model.count_params() < reference.count_params()
    found, expected = (models.arrays(one(inputs)) for one in (model, reference))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_restore_returns_to_the_same_state(name):
    model, inputs = called(name)
    before, expected = state_of(model), models.arrays(model(inputs))
    undo = keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    assert state_of(model)["shapes"] != before["shapes"]
    undo.restore()
    assert_same_state(state_of(model), before)
    for one, other in zip(models.arrays(model(inputs)), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_goes_on_after_a_cut_and_after_its_undoing():
    model, inputs = called("nested")
    targets = numbers(4, 3)
    model.compile("adam", "mse", jit_compile=False)
    model.fit(inputs, targets, verbose=0)
    before = state_of(model)
    undo = keras_snare.shrink(model, {"first/unit": [0, 2], "second/deep": [1]})
    model.fit(inputs, targets, verbose=0)
    assert [tuple(one.shape) for one in model.last.weights] == [(1, 3), (3,)]
    assert all(one.shape == slot.shape for one, slot in _moments(model))
    undo.restore()
    assert_same_state(state_of(model), before)
    model.fit(inputs, targets, verbose=0)


def _moments(model):
    return zip(model.trainable_variables, model.optimizer._momentums, strict=True)


def test_prune_by_weights():
    model, inputs = called("residual")
    report = keras_snare.prune(model, 0.5)
    assert report.params_after == model.count_params() < report.params_before
    model(inputs)


@pytest.mark.parametrize("name", ["residual", "dict"])
@pytest.mark.parametrize("criterion", ["taylor", "activation"])
def test_prune_by_data(name, criterion):
    model, inputs = called(name)
    model.compile("sgd", "mse", run_eagerly=True)
    keras_snare.prune(model, 0.5, criterion=criterion, data=(inputs, numbers(4, 3)))
    model(inputs)


@pytest.mark.parametrize("name", MODELS)
def test_tracing_leaves_nothing_behind_and_may_be_repeated(name):
    model, _ = called(name)

    def nodes():
        held = model._flatten_layers()
        return [(one.name, len(one._inbound_nodes), len(one._outbound_nodes)) for one in held]

    before, found = nodes(), []
    for _ in range(2):
        found.append(str(channel_groups(model)))
        assert nodes() == before
    assert found[0] == found[1]
    with pytest.raises(keras_snare.InvalidPlanError):
        keras_snare.shrink(model, {"nobody": [0]})
    assert nodes() == before


def test_model_that_was_not_called_is_refused():
    message = "Model 'mine' is subclassed .Own. and not built yet.* Call it on a batch of data"
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.cost(Own(name="mine"))
