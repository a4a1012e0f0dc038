"""The optimizer goes on as if the channels had never been there."""

from functools import partial

import cuts
import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.surgery import removed_channels

optimizers = keras.optimizers
PLAN = {"stem": [0, 2, 3], "branch": [0, 2, 3], "inner": [1, 3]}

ADAM = partial(optimizers.Adam, 0.01, epsilon=1e-3)
# Every one treats each weight by itself, so that a cut cannot change the step of the others.
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "rmsprop_centered": lambda: optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "adamax": lambda: optimizers.Adamax(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "lion": lambda: optimizers.Lion(0.01),
    "ftrl": lambda: optimizers.Ftrl(0.1, l1_regularization_strength=1e-3),
    "ema": lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=3),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=2.0),
    "loss_scale_accumulation": lambda: optimizers.LossScaleOptimizer(
        optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2), initial_scale=2.0
    ),
    "decay_and_clipping": lambda: optimizers.SGD(0.1, weight_decay=0.01, clipvalue=0.05),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)),
}


def trained(optimizer, name="residual", steps=2, eager=True):
    """A model that has taken some steps, so that its slots hold something."""
    model = models.build(name)
    model.compile(optimizer, "mse", run_eagerly=eager, jit_compile=False)
    for step in range(steps):
        model.train_on_batch(*batch(model, step))
    return model


def twice(make, name="residual", steps=2, eager=True):
    """Such a model, and another one that has taken the same steps."""
    model, other = trained(make(), name, steps, eager), models.build(name)
    other.compile(make(), "mse", run_eagerly=eager, jit_compile=False)
    other.optimizer.build(other.trainable_variables)
    states = zip(other.optimizer.variables, model.optimizer.variables, strict=True)
    for one, state in (*states, *zip(other.weights, model.weights, strict=True)):
        one.assign(state)
    return model, other


def batch(model, step):
    inputs = models.inputs_for(model, size=8, seed=step)
    random = np.random.default_rng(step)
    shapes = [one.shape for one in models.arrays(model(inputs))]
    targets = [random.normal(size=shape).astype("float32") for shape in shapes]
    return inputs, targets if len(targets) > 1 else targets[0]


def slot_weights(model):
    """Each variable of the optimizer with the weight that its path names, or None."""
    by_path = {weight.path.replace("/", "_"): weight for weight in model.trainable_weights}
    for variable in model.optimizer.variables:
        owners = [path for path in by_path if path in variable.path]
        yield variable, by_path[max(owners, key=len)] if owners else None


def assert_kept_values_agree(model, reference, kept):
    """Compares weights and slots of a cut model with the positions that stay in the other."""
    for weight, other in zip(model.weights, reference.weights, strict=True):
        expected = cuts.sliced(other.numpy(), kept.get(id(other), {}))
        np.testing.assert_allclose(weight.numpy(), expected, atol=2e-6, err_msg=weight.path)
    slots = zip(model.optimizer.variables, slot_weights(reference), strict=True)
    for variable, (other, weight) in slots:
        axes = kept.get(id(weight), {}) if len(other.shape) else {}
        expected = cuts.sliced(other.numpy(), axes)
        np.testing.assert_allclose(variable.numpy(), expected, atol=2e-6, err_msg=other.path)


def check_steps(model, reference, plan, steps=2):
    groups = channel_groups(reference)
    removed = removed_channels(groups, keras_snare.PrunePlan(plan))
    kept = cuts.kept_positions(groups, removed)
    keras_snare.shrink(model, plan)
    cuts.silence_readers(groups, removed)
    assert_kept_values_agree(model, reference, kept)
    for step in range(10, 10 + steps):
        model.train_on_batch(*batch(model, step))
        reference.train_on_batch(*batch(reference, step))
        # The weights that read the channels that are gone do learn; they must not be heard.
        cuts.silence_readers(groups, removed)
        assert_kept_values_agree(model, reference, kept)


# Slots of the same kinds as those of another one; every class takes a step after a cut below.
REPEATED = (
    "sgd",
    "nesterov",
    "adam",
    "adamw",
    "rmsprop",
    "adagrad",
    "adamax",
    "lion",
    "loss_scale",
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in REPEATED)) for name in OPTIMIZERS],
)
def test_steps_are_those_of_the_uncut_model(name):
    check_steps(*twice(OPTIMIZERS[name]), PLAN)


def test_compiled_steps_are_those_of_the_uncut_model():
    check_steps(*twice(OPTIMIZERS["adam"], eager=False), PLAN)


def test_steps_in_the_middle_of_an_accumulation():
    check_steps(*twice(OPTIMIZERS["accumulation"], steps=3), PLAN)


@pytest.mark.parametrize(
    "name",
    [
        "add_broadcast",
        "concatenated",
        "conv_1d",
        "conv_3d",
        "dense_over_time",
        "prelu",
        "prelu_shared",
        "regularized",
        "reshape_apart",
        "shared_dense",
        "several_ends",
    ],
)
def test_steps_of_other_architectures(name):
    model, reference = twice(ADAM, name)
    check_steps(model, reference, cuts.halves(channel_groups(model)).keep)


# Where a step of the narrow model is another one by its formula: statistics over the channels, a
# norm of the kernel, channels that no weight reads.
OTHER_STEPS = {
    *models.OVER_CHANNELS,
    *models.READ_TWICE,
    *models.CHANGED_IN_TRAINING,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in models.SMALL if name not in OTHER_STEPS])
def test_steps_of_every_architecture(name):
    model, reference = twice(ADAM, name)
    if models.is_random(model):
        pytest.skip("it draws random numbers, other ones for other widths")
    plan = cuts.halves(channel_groups(model)).keep
    # A narrower key scales the queries, so that a step of theirs is another one.
    plan = {name: kept for name, kept in plan.items() if not name.endswith((":key", ":head"))}
    check_steps(model, reference, plan)


@pytest.mark.parametrize("built", [True, False], ids=["built", "not built yet"])
def test_weights_without_decay_stay_without_decay(built):
    model, reference = models.build("residual"), models.build("residual")
    for one in (model, reference):
        optimizer = optimizers.SGD(0.1, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_list=[one.get_layer("inner").kernel])
        one.compile(optimizer, "mse", run_eagerly=True)
        if built:
            one.train_on_batch(*batch(one, 0))
    check_steps(model, reference, PLAN)


def adam_and_sgd():
    """Adam for the convolutions, plain steps for the rest."""
    chosen = {"stem/.*|inner/.*|branch/.*": optimizers.Adam(0.01)}
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.1), chosen))


@pytest.mark.skipif(not hasattr(optimizers, "MultiOptimizer"), reason="newer than this Keras")
def test_steps_of_several_optimizers_are_those_of_the_uncut_model():
    check_steps(*twice(adam_and_sgd), PLAN)


def test_every_slot_is_compared_with_its_weight():
    model = trained(optimizers.Adam(0.01))
    owned = [weight for variable, weight in slot_weights(model) if len(variable.shape)]
    assert len(owned) == 2 * len(model.trainable_weights)
    assert all(weight is not None for weight in owned)


def test_optimizer_that_is_not_built_yet_is_built_narrow():
    model = models.build("residual")
    model.compile("adam", "mse", run_eagerly=True)
    keras_snare.shrink(model, PLAN)
    model.train_on_batch(*batch(model, 0))
    sizes = [tuple(variable.shape) for variable in model.trainable_weights for _ in range(2)]
    slots = [tuple(one.shape) for one in model.optimizer.variables if len(one.shape)]
    assert sorted(slots) == sorted(sizes)


def test_weights_that_were_frozen_after_building_are_cut_too():
    model = trained(optimizers.Adam(0.01))
    model.get_layer("inner").trainable = False
    model.compile(model.optimizer, "mse", run_eagerly=True)
    keras_snare.shrink(model, PLAN)
    inner = model.get_layer("inner").kernel.numpy()
    model.train_on_batch(*batch(model, 5))
    np.testing.assert_array_equal(model.get_layer("inner").kernel.numpy(), inner)


def test_adafactor_slots_are_sliced_and_training_goes_on():
    model = trained(optimizers.Adafactor(0.1))
    before = [variable.numpy() for variable in model.optimizer.variables]
    groups = channel_groups(model)
    kept = cuts.kept_positions(groups, removed_channels(groups, keras_snare.PrunePlan(PLAN)))
    inner = model.get_layer("inner").kernel
    place = [weight is inner for weight in model.trainable_weights].index(True)
    rows, columns = model.optimizer._r[place], model.optimizer._c[place]
    old_rows, old_columns = rows.numpy(), columns.numpy()
    axes = kept[id(inner)]
    keras_snare.shrink(model, PLAN)
    np.testing.assert_array_equal(rows.numpy(), old_rows[:, :, axes[2]])
    np.testing.assert_array_equal(columns.numpy(), old_columns[:, :, axes[3]])
    assert len(model.optimizer.variables) == len(before)
    losses = [model.train_on_batch(*batch(model, 5)) for _ in range(15)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


# It asks TensorFlow's own variables for Keras's `path`, with or without a cut.
MUON = pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 13),
    reason="Muon of this Keras cannot train on TensorFlow",
)


def _known_optimizers():
    for name in dir(optimizers):
        one = getattr(optimizers, name)
        abstract = name in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
        if isinstance(one, type) and issubclass(one, optimizers.Optimizer) and not abstract:
            yield pytest.param(name, marks=MUON) if name == "Muon" else name


@pytest.mark.parametrize("name", list(_known_optimizers()))
def test_every_optimizer_of_keras_goes_on_after_a_cut(name):
    model = trained(getattr(optimizers, name)())
    keras_snare.shrink(model, PLAN)
    before = model.get_weights()
    model.train_on_batch(*batch(model, 5))
    after = model.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
