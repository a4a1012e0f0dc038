"""`DistillationCallback` in every way that Keras trains, and on models of every kind."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from distilling import (
    DISTILLATION,
    DIVERGENCES,
    FOUND,
    LABELS,
    LOSSES,
    OWN,
    SURE,
    TAUGHT,
    TEMPERATURE,
    identity,
)
from fitting import digit_model, leftovers, short_fit
from replicas import in_another_process
from training import OwnStep, compiled, dense_model, flat_digits, weights_of

from keras_snare import DistillationCallback, UnsupportedModelError

layers = keras.layers


def _targets(**options):
    options = {"temperature": TEMPERATURE, "teacher_outputs": "logits", **options}
    return DistillationCallback("targets", **options)


def test_mixed_precision():
    """The teacher's answers and the mixing are in float32, and the scaled loss is unscaled."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, teacher = digit_model(), dense_model(64, (9,), 10)
        features = {"hidden1": "hidden1"}
        callback = DistillationCallback(teacher, features=features, feature_weights=0.1)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        history = short_fit(model, [callback], epochs=4).history
        assert history["distillation_loss"][-1] < history["distillation_loss"][0]
        assert np.isfinite(history["loss"]).all()
        assert all(np.isfinite(one).all() for one in weights_of(model))
    finally:
        keras.config.set_dtype_policy("float32")


def _mirrored(replicas):
    """Trains on one or two replicas; the sums over the examples are the same."""
    keras.utils.set_random_seed(0)
    (x, y), _ = flat_digits(40, 10)
    # Features of one size for every example have that size in each part of a batch.
    hidden = [layers.Dense(9), layers.UnitNormalization(name="hidden1")]
    teacher = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10, "softmax")])
    devices = [f"CPU:{at}" for at in range(max(replicas, 1))]
    scope = tf.distribute.MirroredStrategy(devices).scope() if replicas else tf.init_scope()
    with scope:
        model = compiled(dense_model(64, (6, 5), 10), keras.optimizers.SGD(0.1, momentum=0.9))
    callback = DistillationCallback(
        teacher, features={"hidden1": "hidden1"}, feature_weights=0.1, projection="learned"
    )
    found = model.fit(x, y, batch_size=20, epochs=3, shuffle=False, verbose=0, callbacks=[callback])
    assert leftovers(model) == []
    names = ("loss", "accuracy", "distillation_loss", "distillation_share")
    return [found.history[name] for name in names], weights_of(model)


def _assert_equal(replicas):
    (figures, weights), (expected, others) = _mirrored(replicas), _mirrored(0)
    np.testing.assert_allclose(figures, expected, rtol=1e-4)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_a_strategy_with_one_replica():
    _assert_equal(1)


@pytest.mark.slow
def test_a_strategy_with_two_replicas():
    in_another_process(__file__, "_assert_equal(2)")


@pytest.mark.parametrize("structure", [list, dict])
def test_several_outputs(structure):
    inputs = keras.Input((2,))
    outputs = {
        name: layers.Dense(2, kernel_initializer="identity", name=name)(inputs)
        for name in ("first", "second")
    }
    model = keras.Model(inputs, outputs if structure is dict else list(outputs.values()))
    model.compile(keras.optimizers.SGD(0.0), LOSSES["logits"], run_eagerly=True)
    labels, answers = (dict.fromkeys(outputs, one) for one in (LABELS, TAUGHT))
    weights = {"first": np.array([2.0, 0.0]), "second": np.ones(2)}
    parts = [labels, answers, weights]
    if structure is list:
        parts = [list(one.values()) for one in parts]
    labels, answers, weights = parts
    data = tf.data.Dataset.from_tensor_slices((FOUND, _tuples((labels, answers)), _tuples(weights)))
    found = model.fit(
        data.batch(2),
        validation_data=(FOUND, labels),
        epochs=1,
        verbose=0,
        callbacks=[
            _targets(output_weights=[3, 1] if structure is list else {"first": 3, "second": 1})
        ],
    ).history
    distillation = 3 * TEMPERATURE**2 * DIVERGENCES[0] + DISTILLATION
    assert found["distillation_loss"] == pytest.approx([distillation], rel=1e-5)
    own = np.log(2) + OWN
    assert found["loss"] == pytest.approx([0.3 * own + 0.7 * distillation], rel=1e-5)
    assert found["val_loss"] == pytest.approx([2 * OWN], rel=1e-5)


def _tuples(value):
    """Datasets take lists for tensors."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_tuples, value))
    return value


def test_a_layer_without_weights_may_be_of_both_models():
    shared = layers.Activation("relu", name="shared")
    model, teacher = (
        keras.Sequential([keras.Input((2,)), layers.Dense(3), shared, layers.Dense(2)])
        for _ in range(2)
    )
    model.compile(keras.optimizers.SGD(0.0), LOSSES["logits"], run_eagerly=True)
    teacher.set_weights([3 * one for one in model.get_weights()])
    features = {"features": {"shared": "shared"}, "output_weights": 0.0}
    callback = DistillationCallback(teacher, **features)
    found = model.fit(FOUND + 1, LABELS, verbose=0, callbacks=[callback]).history
    assert found["distillation_loss"] == pytest.approx([4 / 9])
    assert "call" not in vars(shared)


class Doubling(keras.Model):
    """A model that computes its loss itself, and does not ask whether it trains."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 2 * super().compute_loss(x, y, y_pred, sample_weight)


class Passing(keras.Model):
    """A model that hands on what it does not look at."""

    def compute_loss(self, x=None, *args, **kwargs):
        return 3 * super().compute_loss(x, *args, **kwargs)


class Written(keras.Model):
    """A model whose code is no graph."""

    def __init__(self):
        super().__init__()
        self.answer = layers.Dense(2, kernel_initializer="identity")

    def call(self, inputs):
        if keras.ops.is_tensor(inputs) and not isinstance(inputs, keras.KerasTensor):
            return self.answer(inputs)
        raise TypeError("only numbers")


def _of_class(kind):
    if kind is Written:
        model = Written()
        model(FOUND)
    else:
        plain = identity()
        model = kind(plain.inputs, plain.outputs)
    model.compile(keras.optimizers.SGD(0.0), LOSSES["logits"])
    return model


@pytest.mark.parametrize(
    ("kind", "factor"), [(Doubling, 2), (Passing, 3), (OwnStep, 1), (Written, 1)]
)
def test_classes_of_models(kind, factor):
    model = _of_class(kind)
    teacher = _of_class(Written if kind is Written else keras.Model)
    teacher.set_weights([np.array([[0, 0], [1, 1]], "float32"), np.array([SURE, 0], "float32")])
    callback = DistillationCallback(teacher, temperature=TEMPERATURE)
    options = {"validation_data": (FOUND, LABELS)} if kind is not OwnStep else {}
    found = model.fit(FOUND, LABELS, epochs=1, verbose=0, callbacks=[callback], **options).history
    # The teacher is as sure of the second example as the model is.
    distillation = TEMPERATURE**2 * DIVERGENCES[0] / 2
    assert found["distillation_loss"] == pytest.approx([distillation], rel=1e-5)
    loss = 0.3 * factor * OWN + 0.7 * distillation
    assert found["distillation_share"] == pytest.approx([0.7 * distillation / loss], rel=1e-5)
    if kind is not OwnStep:  # Keras does not log what that returns.
        assert found["loss"] == pytest.approx([loss], rel=1e-5)
        assert found["val_loss"] == pytest.approx([factor * OWN], rel=1e-5)


class Aloof(keras.Model):
    """A training step that does not call what the loss is added to."""

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self(x, training=True) ** 2)
        values = [one.value for one in self.trainable_variables]
        self.optimizer.apply(tape.gradient(loss, values), self.trainable_variables)
        return {"loss": loss}


def test_a_step_that_does_not_ask_for_the_loss_is_refused():
    model = _of_class(Aloof)
    before = weights_of(model)
    with pytest.raises(
        UnsupportedModelError, match="Aloof.train_step does not call self.compute_l"
    ):
        model.fit(FOUND, LABELS, verbose=0, callbacks=[_teacher_of(identity())])
    assert leftovers(model) == []
    assert all(map(np.array_equal, weights_of(model), before))


def _teacher_of(model):
    return DistillationCallback(model, outputs="logits", teacher_outputs="logits")


def test_class_weights_weigh_both_parts():
    model, teacher = identity(run_eagerly=True), identity()
    teacher.set_weights([np.zeros((2, 2), "float32"), np.array([0, SURE], "float32")])
    labels = np.array([0, 1])
    losses = []
    for options in ({"class_weight": {0: 2.0, 1: 0.0}}, {"sample_weight": np.array([2.0, 0.0])}):
        callback = DistillationCallback(teacher, temperature=TEMPERATURE)
        found = model.fit(FOUND, labels, verbose=0, callbacks=[callback], **options).history
        assert found["distillation_loss"] == pytest.approx([TEMPERATURE**2 * DIVERGENCES[0]])
        losses.append(found["loss"])
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] == pytest.approx([0.3 * np.log(2) + 0.7 * TEMPERATURE**2 * DIVERGENCES[0]])
