"""The cut model computes what the uncut one computes when nothing reads the channels that go."""

import cuts
import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.surgery import removed_channels

# On a CPU, XLA compiles 3-D convolutions with channels first for seconds per width.
SLOW = {"channels_first_3d"}
COMPARED = [name for name in models.SMALL if name not in {*models.OVER_CHANNELS, *SLOW}]


def assert_close(found, expected):
    for one, other in zip(models.arrays(found), models.arrays(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


def check_equivalence(name, model, reference, groups, plan):
    """Cuts a model both ways; training mode comes last, for it moves the averages."""
    removed = removed_channels(groups, plan)
    cuts.silence_readers(groups, removed, makers=name in models.READ_TWICE)
    inputs = models.inputs_for(model)
    assert_close(model(inputs), reference(inputs))
    if models.is_random(model) or name in models.CHANGED_IN_TRAINING:
        model(inputs, training=True)
        return
    assert_close(model(inputs, training=True), reference(inputs, training=True))
    kept = cuts.kept_positions(groups, removed)
    for weight, other in zip(model.weights, reference.weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), cuts.kept_weight(other, kept), atol=1e-5)


@pytest.mark.parametrize(
    "name", [*COMPARED, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]
)
def test_cut_model_computes_what_the_silenced_one_does(name):
    cuts.check_plans(models.build, name, check_equivalence, examples=3)


def check_narrow_model(name, model, reference, groups, plan):
    kept = cuts.kept_positions(groups, removed_channels(groups, plan))
    narrow = type(model).from_config(model.get_config())
    narrow.set_weights([cuts.kept_weight(weight, kept) for weight in reference.weights])
    inputs = models.inputs_for(model)
    assert_close(model(inputs), narrow(inputs))


@pytest.mark.parametrize("name", models.OVER_CHANNELS)
def test_layer_normalisation_over_channels_is_that_of_a_narrow_model(name):
    cuts.check_plans(models.build, name, check_narrow_model, examples=3)


def test_layer_normalisation_by_its_formula():
    hidden, norm = keras.layers.Dense(5), keras.layers.LayerNormalization()
    model = models.randomize(models.chain((6,), hidden, norm, keras.layers.Dense(3)))
    scale, offset = norm.gamma.numpy()[[1, 4]], norm.beta.numpy()[[1, 4]]
    keras_snare.shrink(model, {hidden.name: [1, 4]})
    inputs = models.inputs_for(model)
    units = hidden(inputs).numpy()
    mean, variance = units.mean(axis=1, keepdims=True), units.var(axis=1, keepdims=True)
    expected = (units - mean) / np.sqrt(variance + norm.epsilon) * scale + offset
    np.testing.assert_allclose(norm(hidden(inputs)), expected, atol=1e-5)


def test_columns_and_rows_by_hand():
    model = models.chain(
        (2,), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(1, name="last")
    )
    model.set_weights(
        [np.arange(1, 7).reshape(2, 3), np.array([7, 8, 9]), np.array([[1], [2], [3]]), np.ones(1)]
    )
    keras_snare.shrink(model, {"hidden": [0, 2]})
    kernel, bias, reader, last = (weight.tolist() for weight in model.get_weights())
    assert (kernel, bias) == ([[1, 3], [4, 6]], [7, 9])
    assert (reader, last) == ([[1], [3]], [1])


def test_cut_of_a_cut_is_the_cut_of_both():
    once, twice = models.build("residual"), models.build("residual")
    keras_snare.shrink(once, {"stem": [0, 3], "branch": [0, 3], "inner": [2]})
    keras_snare.shrink(twice, {"inner": [1, 2]})
    keras_snare.shrink(twice, {"stem": [0, 3, 4]})
    keras_snare.shrink(twice, {"branch": [0, 1], "inner": [1]})
    for one, other in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_types_stay_as_they_are(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = models.build("residual")
    finally:
        keras.config.set_dtype_policy("float32")
    types = [weight.dtype for weight in model.weights]
    keras_snare.shrink(model, {"stem": [0, 3], "inner": [2]})
    assert [weight.dtype for weight in model.weights] == types
    assert model(models.inputs_for(model)).dtype == model.compute_dtype


def test_bfloat16_weights_are_cut():
    model = models.chain((4,), keras.layers.Dense(5, name="hidden"), keras.layers.Dense(2))
    narrow = models.chain(
        (4,), *(keras.layers.Dense(units, dtype="bfloat16", name=f"w{units}") for units in (5, 2))
    )
    models.randomize(narrow)
    kernel = narrow.get_layer("w5").kernel
    expected = kernel.numpy()[:, [0, 2]]
    keras_snare.shrink(narrow, {"w5": [0, 2]})
    assert kernel.dtype == "bfloat16"
    np.testing.assert_array_equal(kernel.numpy(), expected)
    assert model.dtype_policy.name == "float32"


def test_objects_stay_the_same():
    model = models.build("residual")
    before = [id(thing) for thing in (model, *model.layers, *model.weights)]
    keras_snare.shrink(model, {"stem": [0, 3], "inner": [2]})
    assert [id(thing) for thing in (model, *model.layers, *model.weights)] == before


@pytest.mark.parametrize("plan", [{}, {"stem": range(5)}], ids=["nothing named", "all kept"])
def test_plan_that_removes_nothing_changes_nothing(plan):
    model = models.build("residual")
    model.compile("adam", "mse", jit_compile=False)
    model.train_on_batch(models.inputs_for(model), np.zeros((4, 3)))
    before, function = model.get_weights(), model.train_function
    keras_snare.shrink(model, plan)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.train_function is function
