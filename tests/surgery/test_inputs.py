"""A selection of input features, put in front of a model and taken out again."""

import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.layers import FeatureSelection
from keras_snare.surgery import InputSelection

layers = keras.layers


def sequential():
    return models.chain((6,), layers.Dense(5, "relu", name="hidden"), layers.Dense(3, name="last"))


def with_flatten():
    return models.chain((2, 3), layers.Flatten(), layers.Dense(5, "relu"), layers.Dense(3))


def with_dropout():
    return models.chain((6,), layers.Dropout(0.5), layers.Dense(5, "relu"), layers.Dense(3))


def functional():
    inputs = keras.Input((6,))
    hidden = layers.Dense(5, "relu", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="last")(hidden))


def functional_with_flatten():
    inputs = keras.Input((2, 3), name="image")
    hidden = layers.Dense(5, "relu", name="hidden")(layers.Flatten()(inputs))
    return keras.Model({"image": inputs}, {"class": layers.Dense(3, name="last")(hidden)})


def read_twice():
    """Two layers read the features, and both get the selected ones."""
    inputs = keras.Input((6,))
    one, other = layers.Dense(5, "relu", name="one")(inputs), layers.Dense(4, name="other")(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.Concatenate()([one, other])))


BUILDERS = [
    sequential,
    with_flatten,
    with_dropout,
    functional,
    functional_with_flatten,
    read_twice,
]
every_model = pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)


def compiled(build):
    model = models.randomize(build())
    model.compile("adam", "mse", run_eagerly=True)
    return model


def outputs_of(model):
    (output,) = models.arrays(model(models.inputs_for(model)))
    return output


def train(model):
    targets = keras.tree.map_structure(
        lambda one: np.zeros(one.shape), model.predict(models.inputs_for(model), verbose=0)
    )
    return model.fit(models.inputs_for(model), targets, verbose=0)


@every_model
def test_putting_in_changes_nothing_that_the_model_computes(build):
    model = compiled(build)
    before, weights, layers_before = outputs_of(model), model.get_weights(), model.layers
    objects = [id(weight) for weight in model.weights]
    selection = InputSelection(model)
    selection.insert()
    np.testing.assert_array_equal(outputs_of(model), before)
    assert [id(weight) for weight in model.weights] == objects
    assert selection.layer in model.layers
    assert len(model.layers) == len(layers_before) + 1
    assert selection.layer.indices == tuple(range(6))
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


@every_model
def test_selected_features_can_be_cut(build):
    model = compiled(build)
    InputSelection(model).insert()
    groups = keras_snare.channel_groups(model)
    assert groups["input_selection"].width == 6
    first = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
    kernel = first.kernel.numpy()
    features = models.inputs_for(model)
    keras_snare.shrink(model, {"input_selection": [0, 4, 5]})
    np.testing.assert_array_equal(first.kernel.numpy(), kernel[[0, 4, 5]])
    assert model.input_shape == compiled(build).input_shape
    assert np.isfinite(models.arrays(model(features))[0]).all()


def test_dropped_features_are_not_read_any_more():
    model = compiled(sequential)
    InputSelection(model).insert()
    keras_snare.shrink(model, {"input_selection": [0, 4, 5]})
    inputs = models.inputs_for(model)
    before = model(inputs).numpy()
    inputs[:, 1:4] = 99.0
    np.testing.assert_array_equal(model(inputs), before)
    inputs[:, 0] = 99.0
    assert (model(inputs).numpy() != before).any()


@every_model
def test_idle_selection_is_taken_out_again(build):
    model = compiled(build)
    train(model)
    before, layers_before = outputs_of(model), model.layers
    summary = summary_of(model)
    selection = InputSelection(model)
    selection.insert()
    train(model)
    selection.remove_if_idle()
    assert model.layers == layers_before
    assert summary_of(model) == summary
    assert (outputs_of(model) != before).any()
    train(model)


def summary_of(model):
    lines = []
    model.summary(print_fn=lines.append, line_length=100)
    return "\n".join(lines)


@every_model
def test_idle_selection_leaves_outputs_as_they_were(build):
    model = compiled(build)
    before = outputs_of(model)
    selection = InputSelection(model)
    selection.insert()
    selection.remove_if_idle()
    np.testing.assert_array_equal(outputs_of(model), before)


@every_model
def test_undone_cut_leaves_the_selection_idle(build):
    model = compiled(build)
    selection = InputSelection(model)
    selection.insert()
    keras_snare.shrink(model, {"input_selection": [0]}).restore()
    selection.remove_if_idle()
    assert selection.layer not in model.layers


@every_model
def test_selection_that_drops_something_stays(build):
    model = compiled(build)
    selection = InputSelection(model)
    selection.insert()
    keras_snare.shrink(model, {"input_selection": [0, 4, 5]})
    selection.remove_if_idle()
    assert selection.layer in model.layers
    assert selection.layer.indices == (0, 4, 5)
    train(model)


@every_model
def test_pruned_inputs_are_saved_and_loaded(build, tmp_path):
    model = compiled(build)
    InputSelection(model).insert()
    keras_snare.shrink(model, {"input_selection": [0, 4, 5]})
    train(model)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs_of(again), outputs_of(model), atol=1e-6)
    assert again.get_layer("input_selection").indices == (0, 4, 5)
    clone = type(model).from_config(model.get_config())
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(outputs_of(clone), outputs_of(model), atol=1e-6)
    train(again)


def test_features_that_a_selection_dropped_are_not_taken_back():
    """A second search on the same model begins with the features that are left."""
    model = compiled(sequential)
    InputSelection(model).insert()
    keras_snare.shrink(model, {"input_selection": [0, 4, 5]})
    layers = list(model.layers)
    again = InputSelection(model)
    again.insert()
    again.remove_if_idle()
    assert model.layers == layers
    assert again.layer is model.get_layer("input_selection")
    assert again.layer.indices == (0, 4, 5)


def test_a_layer_of_the_same_name_is_not_overwritten():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2, name="input_selection")])
    with pytest.raises(keras_snare.UnsupportedModelError, match="has a layer named"):
        InputSelection(model).insert()


def test_optimizer_goes_on():
    model = compiled(functional)
    train(model)
    momenta = [variable.numpy() for variable in model.optimizer.variables]
    InputSelection(model).insert()
    for variable, before in zip(model.optimizer.variables, momenta, strict=True):
        np.testing.assert_array_equal(variable.numpy(), before)
    train(model)
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize(
    ("layers_argument", "expected"),
    [
        (None, None),
        ("hidden", ["hidden", "input_selection"]),
        (["a", "b"], ["a", "b", "input_selection"]),
        ({"hidden"}, ["hidden", "input_selection"]),
        (frozenset({"hidden"}), ["hidden", "input_selection"]),
    ],
    ids=["all", "one", "list", "set", "frozen set"],
)
def test_selection_joins_the_users_choice(layers_argument, expected):
    assert InputSelection(sequential()).with_inputs(layers_argument) == expected


REFUSED = {
    "convolution first": (
        lambda: models.chain((6, 6, 1), layers.Conv2D(2, 2, name="conv"), layers.Flatten()),
        r"The first layer with weights here is: conv \(Conv2D\)",
    ),
    "dense over time": (
        lambda: models.chain((4, 6), layers.Dense(2, name="over_time")),
        r"The first layer with weights here is: over_time \(Dense\)",
    ),
    "normalisation first": (
        lambda: models.chain((6,), layers.BatchNormalization(name="norm"), layers.Dense(2)),
        r"The first layer with weights here is: norm \(BatchNormalization\)",
    ),
    "no weights": (lambda: models.chain((6,), layers.ReLU()), "with weights here is: none"),
    "not built": (lambda: keras.Sequential([layers.Dense(2)]), "has no graph yet"),
}


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_other_models_are_refused(build, message):
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        InputSelection(build())


def test_name_that_is_taken_is_refused_and_nothing_changes():
    model = models.chain((6,), layers.Dense(2), FeatureSelection([1], name="input_selection"))
    before = model.layers
    message = "has a layer named 'input_selection' already. Give it another name"
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        InputSelection(model).insert()
    assert model.layers == before
