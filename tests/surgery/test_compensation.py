"""`compensate`: readers of removed units are fitted to what they computed before the cut."""

import compensating
import composite_models
import cuts
import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from state import assert_same_state, state_of

import keras_snare
from keras_snare.graph import PRODUCER, channel_groups
from keras_snare.surgery import removed_channels, unfolding

layers = keras.layers
KINDS = ("mean", "least_squares")


def conv_3d_dilated():
    return models.chain(
        (6, 6, 6, 1),
        layers.Conv3D(4, 2, activation="tanh", name="unit"),
        layers.Conv3D(3, 2, dilation_rate=2, padding="same", activation="relu", name="reader"),
        layers.GlobalAveragePooling3D(),
        layers.Dense(3, name="last"),
    )


def depthwise_between():
    return models.chain(
        (7, 7, 2),
        layers.Conv2D(4, 2, activation="relu", name="unit"),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2D(3, 1, name="reader"),
    )


def mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    model = models.chain(
        (6, 6, 2),
        layers.Conv2D(6, 3, activation="relu", name="unit"),
        layers.Flatten(),
        layers.Dense(5, "relu", name="reader"),
        layers.Dense(3, dtype="float32", name="last"),
    )
    keras.config.set_dtype_policy("float32")
    return model


def siamese():
    """A model that is used twice: the calls of its layers do not come one after the other."""
    encoder = models.chain(
        (6,), *(layers.Dense(width, "relu", name=f"of_{width}") for width in (8, 5, 4))
    )
    inputs = [keras.Input((6,)), keras.Input((6,))]
    joined = layers.Concatenate()([encoder(one) for one in inputs])
    return keras.Model(inputs, layers.Dense(2, name="last")(joined))


OWN = {
    build.__name__: build
    for build in (conv_3d_dilated, depthwise_between, mixed_precision, siamese)
}
# The layers in them that are read by dense layers.
COMPOSITES = {name: ("feed/up", "inner") for name in composite_models.BUILDS if name != "exchange"}
ZOO = {**models.SMALL, **composite_models.BUILDS, **OWN}
# Narrower sums are not those of the wide network with channels at zero.
LEFT_OUT = {
    *models.OVER_CHANNELS,
    *models.READ_TWICE,
    "channels_first_3d",
    "spectral_normalization",
}
ALWAYS = [
    *OWN,
    "channels_first_1d",
    "concatenated",
    "conv_1d",
    "conv_2d",
    "partly_coupled",
    "recurrent_use",
    "residual",
    "several_ends",
    "shared_dense",
    "scaled",
    "stack",
    "subclassed",
]


def build(name):
    keras.utils.clear_session(free_memory=False)
    return models.randomize(ZOO[name]())


@pytest.mark.parametrize(
    "name",
    [
        *ALWAYS,
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ZOO
            if name not in LEFT_OUT.union(ALWAYS)
        ),
    ],
)
def test_units_that_others_can_stand_in_for_are_no_loss(name):
    """Or the model has readers that are not covered, and stays as it was."""
    model = build(name)
    groups = channel_groups(model)
    plan = cuts.plan_without(groups, compensating.doubled(groups, COMPOSITES.get(name, "")))
    data = compensating.examples(model)
    expected, before = models.arrays(model(data[0])), state_of(model)
    try:
        keras_snare.shrink(model, plan, compensate="least_squares", data=data)
    except keras_snare.UnsupportedModelError:
        assert name not in {*ALWAYS, *COMPOSITES}
        assert_same_state(state_of(model), before)
        return
    atol = 5e-3 if name == "mixed_precision" else 1e-4
    for one, other in zip(models.arrays(model(data[0])), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=atol, rtol=atol)


@pytest.mark.parametrize("form", ["arrays", "shuffled dataset", "sequence"])
def test_mixtures_of_others_are_no_loss_on_new_data_either(form):
    """The data are read once: a second look would see them in another order."""
    model = models.chain(
        (8, 8, 2),
        layers.Conv2D(6, 3, strides=2, name="unit"),
        layers.AveragePooling2D(2, 1),
        layers.Flatten(),
        layers.Dense(5, "relu", name="reader"),
        layers.Dense(3, name="last"),
    )
    models.randomize(model)
    kernel, bias = (one.numpy() for one in model.get_layer("unit").weights)
    mixture = np.random.default_rng(0).normal(size=(3, 3))
    kernel[..., 3:], bias[3:] = kernel[..., :3] @ mixture, bias[:3] @ mixture
    model.get_layer("unit").set_weights([kernel, bias])
    (x,), (new,) = compensating.examples(model), compensating.examples(model, seed=4)
    expected = model(new).numpy()
    data = tf.data.Dataset.from_tensor_slices(x).shuffle(256).batch(50)
    data = {"arrays": (x,), "shuffled dataset": data, "sequence": Batches(x)}[form]
    keras_snare.shrink(model, {"unit": [0, 1, 2]}, compensate="least_squares", data=data)
    np.testing.assert_allclose(model(new), expected, atol=1e-4)


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 4

    def __getitem__(self, at):
        return self.x[64 * at : 64 * (at + 1)], None


def windows(rank, **options):
    """A convolution that reads units, with windows of its own kind."""

    def made():
        kind = models.CONVOLUTIONS[rank]
        reader = kind(3, 3 if rank < 3 else 2, activation="relu", name="reader", **options)
        maker = kind(6, 2, activation="relu", name="unit")
        return models.chain((6 if rank == 3 else 8,) * rank + (2,), maker, reader)

    return made


def branches():
    """Three readers that do not depend on each other: of a sum, of all positions, of two groups."""
    inputs = keras.Input((6, 6, 2))
    unit = layers.Conv2D(6, 3, activation="relu", name="unit")(inputs)
    other = layers.Conv2D(6, 3, activation="tanh", name="other")(inputs)
    stream, joined = layers.Add()([unit, other]), layers.Concatenate()([unit, other])
    one = layers.Conv2D(4, 3, padding="same", use_bias=False, name="reader")(stream)
    one = layers.BatchNormalization(name="reader_norm")(one)
    two = layers.Dense(4, name="flat")(layers.Flatten()(stream))
    return keras.Model(inputs, [one, two, layers.Dense(4, "relu", name="joint")(joined)])


def two_groups():
    inputs = keras.Input((6,))
    makers = [layers.Dense(5, "relu", name=name)(inputs) for name in ("unit", "other")]
    joined = layers.Concatenate()([*makers, inputs])
    return keras.Model(inputs, layers.Dense(4, name="joint")(joined))


def no_constant():
    return models.chain((6,), layers.Dense(6, "relu", name="unit"), layers.Dense(3, use_bias=False))


READINGS = {
    "conv_1d_causal": windows(1, padding="causal", dilation_rate=2),
    "conv_1d_strides": windows(1, padding="same", strides=3),
    "conv_2d_dilation": windows(2, padding="same", dilation_rate=(1, 2)),
    "conv_2d_strides": windows(2, padding="same", strides=(2, 3)),
    "conv_2d_valid": windows(2, strides=2),
    "conv_3d": windows(3, padding="same", strides=(1, 2, 1)),
    "branches": branches,
    "no_constant": no_constant,
    "shared": models.SMALL["shared_dense"],
    "two_groups": two_groups,
}


@pytest.mark.parametrize("name", READINGS)
def test_squared_error_on_the_data_is_less(name, monkeypatch):
    """With new weights less than with a constant, with that less than with nothing."""
    monkeypatch.setattr(unfolding, "_BYTES", 2**12)
    errors = []
    for kind in (None, *(KINDS if name != "no_constant" else KINDS[1:])):
        keras.utils.clear_session(free_memory=False)
        model = models.randomize(READINGS[name]())
        data = compensating.examples(model, 80)
        groups = channel_groups(model)
        first = [one for one in groups.prunable() if one.name in ("unit", "other", "shared")]
        removed = np.concatenate([one.roots[2:] for one in first])
        readers = compensating.reader_names(groups, removed)
        wanted = compensating.readings(model, data, readers)
        given = {} if kind is None else {"compensate": kind, "data": data}
        keras_snare.shrink(model, cuts.plan_without(groups, removed), **given)
        found = compensating.readings(model, data, readers)
        errors.append([np.square(found[one] - wanted[one]).sum() for one in sorted(readers)])
        for one in readers if kind == "mean" else ():
            means = [
                answer.mean(tuple(range(answer.ndim - 1))) for answer in (found[one], wanted[one])
            ]
            np.testing.assert_allclose(*means, atol=1e-4)
    assert (np.array(errors) > 0).all()
    assert (np.diff(errors, axis=0) < 0).all()


def mute(groups, removed):
    """Sets the kernels that make the channels `removed` to zero; the biases stay."""
    for binding in groups.bindings:
        if binding.role == PRODUCER and len(binding.variable.shape) > 1:
            value = np.moveaxis(binding.variable.numpy(), binding.axis, 0)
            value[np.isin(groups.roots[binding.labels], removed)] = 0.0
            binding.variable.assign(np.moveaxis(value, 0, binding.axis))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["concatenated", "partly_coupled", "several_ends", "siamese"])
def test_units_that_are_constant_over_the_data_are_no_loss(name, kind):
    model = build(name)
    data = compensating.examples(model)
    groups = channel_groups(model)
    plan = cuts.halves(groups)
    mute(groups, removed_channels(groups, plan))
    expected = models.arrays(model(data[0]))
    keras_snare.shrink(model, plan, compensate=kind, data=data)
    for one, other in zip(models.arrays(model(data[0])), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-4)


def test_constant_by_hand():
    """The unit that goes gives 1 and 3, on average 2, which the reader multiplies by 5."""
    model = models.chain((1,), layers.Dense(2, name="unit"), layers.Dense(1, name="reader"))
    weights = [[1.0, 2.0]], [0.0, 1.0], [[4.0], [5.0]], [6.0]
    model.set_weights([np.array(one) for one in weights])
    data = (np.array([[0.0], [1.0]]),)
    keras_snare.shrink(model, {"unit": [0]}, compensate="mean", data=data)
    np.testing.assert_allclose(model.get_layer("reader").bias, [16.0])
    np.testing.assert_allclose(model.get_layer("reader").kernel, [[4.0]])


def train(model):
    (x,) = compensating.examples(model, 8)
    model.train_on_batch(x, np.ones((8, *model.output_shape[1:])))


def trained(name):
    model = build(name)
    model.compile("adam", "mse", run_eagerly=True)
    train(model)
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["residual", "mixed_precision", "shared_dense"])
def test_only_readers_differ_from_a_plain_cut_and_restore_returns(name, kind):
    """The optimizer goes on with the slots that it had."""
    model, plain = trained(name), trained(name)
    before = state_of(model)
    plan = cuts.halves(channel_groups(model))
    undo = keras_snare.shrink(model, plan, compensate=kind, data=compensating.examples(model, 64))
    keras_snare.shrink(plain, plan)
    differing = set()
    held = [*model.weights, *model.optimizer.variables]
    for one, other in zip(held, [*plain.weights, *plain.optimizer.variables], strict=True):
        if not np.array_equal(one.numpy(), other.numpy()):
            differing.add("/".join(one.path.split("/")[-2:]))
    constants, kernels = {"last/bias", "reader/bias"}, {"last/kernel", "reader/kernel"}
    if name == "residual":
        constants = {"last/bias", "inner_norm/moving_mean", "branch_norm/moving_mean"}
        kernels = {"last/kernel", "inner/kernel", "branch/kernel"}
    assert differing == (constants if kind == "mean" else constants | kernels)
    train(model)
    undo.restore()
    assert_same_state(state_of(model), before)
