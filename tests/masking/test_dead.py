"""Dead units: removed for real, and the model computes what it did."""

import branched_models
import keras
import numpy as np
import pytest
from models import inputs_for
from training import MODELS, compiled, random_data

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.masking import kernels_of

layers = keras.layers


def _outputs(model, inputs):
    return keras.tree.flatten(model(inputs, training=False))


def _sparse(model, share, seed=0):
    random = np.random.default_rng(seed)
    for one in kernels_of(model):
        kept = random.random(one.shape) >= share
        one.variable.assign(np.where(kept, random.normal(size=one.shape), 0))
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(random.uniform(0.1, 1, size=weight.shape))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("kind", MODELS)
def test_the_model_computes_what_it_did_and_nothing_dead_is_left(kind, share):
    model = MODELS[kind]()
    _sparse(model, share)
    x, _ = random_data(model)
    before, params = _outputs(model, x), model.count_params()

    report = keras_snare.remove_dead(model)

    for one, other in zip(before, _outputs(model, x), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    assert (report.params_before, report.params_after) == (params, model.count_params())
    assert report.params_after < params or share < 0.95 or kind == "residual"
    assert keras_snare.remove_dead(model).changes == ()
    widths = {one.layer: one.after for one in report.changes}
    assert all(channel_groups(model)[name].width == width for name, width in widths.items())


@pytest.mark.parametrize("name", ["residual", "concatenated", "shared_dense", "several_ends"])
def test_branches(name):
    model = getattr(branched_models, name)()
    _sparse(model, 0.8)
    x = inputs_for(model)
    before = _outputs(model, x)
    keras_snare.remove_dead(model)
    for one, other in zip(before, _outputs(model, x), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_by_hand():
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(4, "sigmoid", name="a"),
            layers.Dense(3, "relu", name="b"),
            layers.Dense(1, name="c"),
        ]
    )
    a, b, c = model.layers
    a.kernel.assign([[1, 0, 2, 3], [1, 0, 2, 3]])
    a.bias.assign([0, 1, 0, 0])
    b.kernel.assign([[1, 0, 0], [5, 0, 1], [0, 0, 0], [1, 0, 1]])
    c.kernel.assign([[1], [1], [0]])
    # Of a, unit 1 hears nothing and 2 is not heard; of b, 1 hears nothing and 2 is not heard.
    report = keras_snare.remove_dead(model)
    assert report.plan.keep == {"a": (0, 3), "b": (0,)}
    assert (a.units, b.units) == (2, 1)
    np.testing.assert_allclose(b.bias, [5 / (1 + np.exp(-1))], rtol=1e-6)
    assert report.params_after == model.count_params() == 2 * 2 + 2 + 2 + 1 + 1 + 1
    assert "a: 4 -> 2" in str(report)


def test_units_whose_constant_no_bias_can_take_stay():
    model = keras.Sequential(
        [
            keras.Input((6, 2)),
            layers.Conv1D(3, 1, activation="sigmoid", name="a"),
            layers.LSTM(2, name="b"),
            layers.Dense(2, name="c"),
        ]
    )
    kernel = np.array(keras.ops.convert_to_numpy(model.layers[0].kernel))
    kernel[..., 0] = 0
    model.layers[0].kernel.assign(kernel)
    assert keras_snare.remove_dead(model).changes == ()


@pytest.mark.parametrize(
    ("padding", "bias", "filters"), [("valid", 0.5, 1), ("same", 0.5, 2), ("same", -0.5, 1)]
)
def test_a_border_that_would_miss_the_constant(padding, bias, filters):
    model = keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            layers.Conv2D(2, 3, activation="relu", padding="same", name="a"),
            layers.Conv2D(2, 3, padding=padding, name="b"),
        ]
    )
    a = model.layers[0]
    a.kernel.assign(keras.ops.ones((3, 3, 1, 2)) * np.array([1.0, 0.0]))
    a.bias.assign([0.0, bias])
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 1))
    before = _outputs(model, x)
    keras_snare.remove_dead(model)
    assert a.filters == filters
    np.testing.assert_allclose(before[0], _outputs(model, x)[0], atol=1e-5)


def test_only_chosen_layers_and_one_unit_stays():
    model = MODELS["dense"]()
    for one in kernels_of(model):
        one.variable.assign(np.zeros(one.shape))
    keras_snare.remove_dead(model, layers="hidden1")
    assert [layer.units for layer in model.layers] == [1, 5, 3]


def test_a_failure_leaves_the_model_as_it_was(monkeypatch):
    model = compiled(MODELS["dense"]())
    _sparse(model, 0.9)
    before, summary = model.get_weights(), [layer.units for layer in model.layers]
    found, calls = keras_snare.masking.dead.channel_groups, []

    def fails(one):
        calls.append(one)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return found(one)

    monkeypatch.setattr("keras_snare.masking.dead.channel_groups", fails)
    with pytest.raises(KeyboardInterrupt):
        keras_snare.remove_dead(model)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert [layer.units for layer in model.layers] == summary
    model.fit(*random_data(model), verbose=0)


def _beside(combine):
    inputs = keras.Input((5, 4))
    hidden = layers.Dense(6, "relu", name="hidden")(inputs)
    found = combine(hidden)
    return keras.Model(inputs, layers.Dense(3, name="reads")(found))


def _dot(hidden):
    read = layers.Dense(3, name="other")(hidden)
    return layers.Concatenate()([layers.Dot(2)([hidden, hidden]), read])


LOOK_AT_ALL = {
    "layer_norm": lambda hidden: layers.LayerNormalization()(hidden),
    "constant_before": lambda hidden: layers.LayerNormalization()(
        layers.BatchNormalization(name="constant")(hidden)
    ),
    "rms_norm": lambda hidden: layers.RMSNormalization()(hidden),
    "unit_norm": lambda hidden: layers.UnitNormalization()(hidden),
    "attention": lambda hidden: layers.Attention()([hidden, hidden]),
    "dot": _dot,
}


@pytest.mark.parametrize("kind", LOOK_AT_ALL)
def test_units_that_nothing_reads_but_something_looks_at_stay(kind):
    model = _beside(LOOK_AT_ALL[kind])
    if kind == "constant_before":
        gamma = model.get_layer("constant").gamma
        gamma.assign(np.where(np.arange(6) < 2, 0.0, 1.0))
        model.get_layer("constant").beta.assign(np.full(6, 2.0))
    for name in ("reads", "other"):
        if name in [one.name for one in model.layers]:
            layer = model.get_layer(name)
            kernel = np.array(keras.ops.convert_to_numpy(layer.kernel))
            kernel[:2] = 0
            layer.kernel.assign(kernel)
    x = inputs_for(model)
    before = _outputs(model, x)
    keras_snare.remove_dead(model, layers="hidden")
    assert model.get_layer("hidden").units == 6
    np.testing.assert_array_equal(before[0], _outputs(model, x)[0])


@pytest.mark.parametrize("between", [layers.BatchNormalization, layers.ReLU, layers.Dropout])
def test_units_that_nothing_reads_or_looks_at_go(between):
    args = (0.5,) if between is layers.Dropout else ()
    model = _beside(between(*args))
    model.get_layer("reads").kernel.assign(
        keras.ops.concatenate([keras.ops.zeros((2, 3)), keras.ops.ones((4, 3))])
    )
    x = inputs_for(model)
    before = _outputs(model, x)
    keras_snare.remove_dead(model)
    assert model.get_layer("hidden").units == 4
    np.testing.assert_allclose(before[0], _outputs(model, x)[0], atol=1e-6)


def test_pruning_in_fit_keeps_what_a_normalisation_looks_at():
    parts = [layers.Dense(16, "relu"), layers.LayerNormalization(), layers.Dense(4)]
    model = keras.Sequential([keras.Input((8,)), *parts])
    x, y = np.random.default_rng(0).random((64, 8)), np.zeros((64, 4))
    model.compile("sgd", "mse")
    values = []
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: values.append(model.predict(x, verbose=0))
    )
    prune = keras_snare.MagnitudePruneCallback(0.9, scope="global", remove_dead=True)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[prune, told])
    np.testing.assert_allclose(model.predict(x, verbose=0), values[-1], atol=1e-5)


def _unread(model, name, units):
    layer = model.get_layer(name)
    kernel = np.array(keras.ops.convert_to_numpy(layer.kernel))
    kernel[..., :units, :] = 0
    layer.kernel.assign(kernel)
    return model


def _open_images():
    inputs = keras.Input((None, None, 1))
    found = layers.Conv2D(4, 9, activation="relu", name="first")(inputs)
    found = layers.GlobalMaxPooling2D()(layers.Conv2D(3, 9, name="reads")(found))
    return keras.Model(inputs, found), np.random.default_rng(0).random((2, 24, 24, 1))


def _whole_numbers():
    inputs = keras.Input((5,), dtype="int32")
    found = layers.Dense(4, name="first")(keras.ops.one_hot(inputs, 3))
    return keras.Model(inputs, layers.Dense(3, name="reads")(found)), np.array([[0, 1, 2, 0, 1]])


def _whole_batches():
    inputs = keras.Input(batch_shape=(3, 5))
    found = layers.Dense(4, name="first")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="reads")(found)), np.ones((3, 5))


@pytest.mark.parametrize("make", [_open_images, _whole_numbers, _whole_batches])
def test_units_go_whatever_the_inputs_are(make):
    model, x = make()
    _unread(model, "reads", 2)
    before = _outputs(model, x)
    keras_snare.remove_dead(model)
    assert model.get_layer("first").kernel.shape[-1] == 2
    np.testing.assert_allclose(before[0], _outputs(model, x)[0], atol=1e-5)


def test_units_stay_where_nothing_can_be_seen():
    inputs = keras.Input((4,))
    hidden = layers.Dense(4, name="first")(inputs)
    undefined = keras.ops.log(-keras.ops.abs(layers.Dense(3, name="reads")(hidden)) - 1)
    model = _unread(keras.Model(inputs, undefined), "reads", 2)
    assert keras_snare.remove_dead(model).changes == ()
