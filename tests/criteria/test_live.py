"""Statistics of the training step against an eager recomputation, in every way to train."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from live_reference import UNITS, Listener, batches, expected_epoch, network
from training import OwnStep

from keras_snare import UnsupportedModelError
from keras_snare.criteria import LiveStatistics, TaylorCriterion
from keras_snare.graph import channel_groups


def _sgd(**options):
    return lambda: keras.optimizers.SGD(0.1, **options)


def _adam(**options):
    return lambda: keras.optimizers.Adam(0.01, **options)


def _compiled(optimizer, model_class=keras.Model, **options):
    model = network(model_class)
    model.compile(
        optimizer(), "sparse_categorical_crossentropy", **{"jit_compile": False, **options}
    )
    return model


def _compare(make, rtol=1e-4, epochs=2):
    (x, y), parts = batches()
    model, reference, listener = make(), make(), Listener()
    reference.set_weights(model.get_weights())
    model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=[listener])
    for found in listener.epochs:
        expected = expected_epoch(reference, parts)
        assert found.keys() == expected.keys()
        for name in UNITS:
            largest = np.abs(expected[name]).max()
            np.testing.assert_allclose(found[name] / largest, expected[name] / largest, atol=rtol)
    reference.optimizer.finalize_variable_values(reference.trainable_variables)
    for one, other in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=50 * rtol * np.abs(other).max())
    return model


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (_sgd(), {}),
        (_sgd(momentum=0.9, clipnorm=0.1), {}),
        (_adam(), {}),
        (_adam(), {"steps_per_execution": 3}),
        (_adam(), {"jit_compile": True}),
        (_adam(), {"run_eagerly": True}),
        (_adam(gradient_accumulation_steps=2), {}),
        (_adam(use_ema=True), {}),
        (_adam(loss_scale_factor=64.0), {}),
        (_adam(), {"model_class": OwnStep}),
    ],
    ids=(
        "sgd clipped adam steps_per_execution jit eager accumulation ema loss_scale own_step"
    ).split(),
)
def test_equals_an_eager_recomputation(optimizer, options):
    _compare(lambda: _compiled(optimizer, **options))


@pytest.fixture
def _mixed_float16():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("_mixed_float16")
def test_mixed_precision():
    model = _compare(lambda: _compiled(_adam()), rtol=2e-2)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.usefixtures("_mixed_float16")
def test_steps_that_overflow_are_left_out():
    def optimizer():
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), 2.0**19)

    model = _compare(lambda: _compiled(optimizer), rtol=2e-2)
    skipped = 12 - int(model.optimizer.inner_optimizer.iterations.numpy())
    assert 2 <= skipped <= 10


def test_a_step_that_is_not_finite_does_not_count():
    def optimizer():
        # Leaves such a step out in float32, too.
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), 1.0)

    (x, y), parts = batches(3)
    broken = x.copy()
    broken[8:16] = np.nan
    model, listener = _compiled(optimizer), Listener()
    expected = expected_epoch(_compiled(optimizer), [parts[0], parts[2]])
    model.fit(broken, y, batch_size=8, shuffle=False, verbose=0, callbacks=[listener])
    for name in UNITS:
        np.testing.assert_allclose(listener.epochs[0][name], expected[name], rtol=1e-4)


@pytest.mark.parametrize("name", UNITS)
def test_sums_of_weights_equal_sums_of_activations(name):
    """The identity that the collection rests on."""
    model = _compiled(_sgd())
    (x, y), parts = batches(1)
    live = LiveStatistics(model, TaylorCriterion())
    live.follow([channel_groups(model)[name]])
    (tap,) = live.totals.taps[name]
    with tf.GradientTape() as tape:
        loss = model.compute_loss(y=y, y_pred=model(x))
    sums = tap.sums(tape.gradient(loss, tap.variable.value)).numpy()
    np.testing.assert_allclose(np.abs(sums), expected_epoch(model, parts)[name], rtol=1e-4)


def test_nothing_before_the_first_step():
    model = _compiled(_sgd())
    live = LiveStatistics(model, TaylorCriterion())
    live.follow(channel_groups(model).prunable())
    assert {name: found.tolist() for name, found in live.statistics().items()} == {
        "conv1": [0.0] * 4,
        "hidden1": [0.0] * 5,
    }


def test_nothing_stays_with_model_optimizer_or_file(tmp_path):
    plain, listened = _compiled(_adam()), _compiled(_adam())
    (x, y), _ = batches()
    for model, callbacks in ((plain, []), (listened, [Listener()])):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=callbacks)
        model.save(tmp_path / f"{len(callbacks)}.keras")

    assert len(listened.weights) == len(plain.weights)
    assert len(listened.variables) == len(plain.variables)
    assert len(listened.optimizer.variables) == len(plain.optimizer.variables)
    assert "apply" not in vars(listened.optimizer)
    assert listened.train_function is None
    loaded = [keras.models.load_model(tmp_path / f"{at}.keras") for at in (0, 1)]
    assert loaded[0].get_config() == loaded[1].get_config()
    for one, other in zip(*(model.get_weights() for model in loaded), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_frozen_reader_is_named():
    model = _compiled(_sgd())
    model.get_layer("hidden1").trainable = False
    live = LiveStatistics(model, TaylorCriterion())
    with pytest.raises(
        UnsupportedModelError,
        match="Layer 'hidden1', by whose weights layer 'conv1' is scored, is not",
    ):
        live.follow(channel_groups(model).prunable())
