"""A user's own layer class, declared with `register_layer`, is cut like one of Keras's."""

import cuts
import keras
import models
import numpy as np
import pytest
from state import assert_same_state, state_of

import keras_snare
from keras_snare import register_layer
from keras_snare.graph import channel_groups
from keras_snare.graph.rules import RULES
from keras_snare.surgery import removed_channels
from keras_snare.surgery.attributes import ATTRIBUTES

layers, ops = keras.layers, keras.ops


@pytest.fixture(autouse=True)
def _tables():
    """Takes out what a test registers."""
    tables = [(table, dict(table)) for table in (RULES, ATTRIBUTES)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)


class Scaled(layers.Layer):
    """Dense with a factor for each unit; Keras finds out its configuration by itself."""

    def __init__(self, units, use_scale=True, spec=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.use_scale = use_scale
        self.spec = spec

    def build(self, input_shape):
        width = input_shape[-1]
        self.kernel = self.add_weight(shape=(width, self.units), name="kernel")
        self.scale = self.add_weight(shape=(self.units,)) if self.use_scale else None
        if self.spec is not None:
            self.input_spec = layers.InputSpec(**self.spec, axes={-1: width})

    def call(self, inputs):
        found = ops.matmul(inputs, self.kernel)
        return found if self.scale is None else found * self.scale


class Configured(Scaled):
    """The same with a configuration of its own."""

    def get_config(self):
        return {**super().get_config(), "units": self.units, "use_scale": self.use_scale}


class Shifted(layers.Layer):
    """Hands channels on, with a summand for each."""

    def build(self, input_shape):
        self.shift = self.add_weight(shape=(1, input_shape[-1]), name="shift")
        self.unused = None

    def call(self, inputs):
        return ops.tanh(inputs + self.shift)


class First(layers.Layer):
    """Makes channels along the axis behind the batch; its kernel lies the other way."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(self.filters, input_shape[1]), name="kernel")
        self.input_spec = layers.InputSpec(ndim=3, axes={1: input_shape[1]})

    def call(self, inputs):
        return ops.einsum("fc,bct->bft", self.kernel, inputs)


OWN = {"reads": {"kernel": 0}, "makes": {"kernel": 1, "scale": 0}, "width": "units"}
CLASSES = {one.__name__: one for one in (Scaled, Configured, Shifted, First)}


def dense_around(layer, units=4):
    return models.randomize(
        models.chain((6,), layers.Dense(units, name="before"), layer, layers.Dense(3, name="last"))
    )


def making(layer_class=Scaled, **options):
    register_layer(layer_class, **OWN)
    return dense_around(layer_class(5, name="own", **options))


def handing_on():
    register_layer(Shifted, keeps={"shift": 1, "unused": 0})
    return dense_around(Shifted(name="own"))


def channels_first():
    register_layer(First, reads={"kernel": 1}, makes={"kernel": 0}, width="filters", axis=1)
    inner = (First(5, name="own"), layers.ReLU(), First(4, name="other"))
    return models.randomize(models.chain((6, 3), *inner, layers.Flatten(), layers.Dense(3)))


BUILDS = {
    "making": making,
    "making, own config": lambda: making(Configured),
    "without a weight": lambda: making(use_scale=False),
    "with a specification": lambda: making(spec={"min_ndim": 2}),
    "handing on": handing_on,
    "another axis": channels_first,
}


def built(name):
    keras.utils.clear_session(free_memory=False)
    return BUILDS[name]()


@pytest.mark.parametrize("name", BUILDS)
def test_cut_model_computes_what_the_silenced_one_does(name):
    model, reference = built(name), built(name)
    groups = channel_groups(reference)
    plan = cuts.halves(groups)
    cuts.silence_readers(groups, removed_channels(groups, plan))
    keras_snare.shrink(model, plan)
    assert model.count_params() < reference.count_params()
    inputs = models.inputs_for(model)
    np.testing.assert_allclose(model(inputs), reference(inputs), atol=1e-5)


@pytest.mark.parametrize("name", BUILDS)
def test_restore_returns_to_the_same_state(name):
    model = built(name)
    before = state_of(model)
    keras_snare.shrink(model, cuts.halves(channel_groups(model))).restore()
    assert_same_state(state_of(model), before)


@pytest.mark.parametrize("name", BUILDS)
def test_cut_model_is_saved_and_loaded(name, tmp_path):
    model = built(name)
    keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects=CLASSES)
    inputs = models.inputs_for(model)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


def test_width_and_weights_follow():
    model = making()
    own = model.get_layer("own")
    keras_snare.shrink(model, {"own": [0, 2, 4], "before": [1, 3]})
    assert own.units == own.get_config()["units"] == 3
    assert (tuple(own.kernel.shape), tuple(own.scale.shape)) == ((2, 3), (3,))
    assert own.get_build_config()["input_shape"] == (None, 2)
    assert model.get_layer("last").kernel.shape == (3, 3)


def test_channels_that_are_handed_on_are_cut_with_their_weight():
    model = handing_on()
    group = channel_groups(model)["before"]
    assert [one.binding.name for one in group.with_role("through")] == ["own"]
    keras_snare.shrink(model, {"before": [0, 3]})
    assert tuple(model.get_layer("own").shift.shape) == (1, 2)
    assert "own" not in channel_groups(model)


def test_training_goes_on_after_a_cut():
    model = making()
    model.compile("adam", "mse", run_eagerly=True)
    data = models.inputs_for(model), np.zeros((4, 3), "float32")
    model.fit(*data, verbose=0)
    report = keras_snare.prune(model, 0.5, criterion="taylor", data=data)
    assert {change.layer for change in report.changes} <= {"before", "own"}
    model.fit(*data, verbose=0)


SPECS = {
    "least rank": {"min_ndim": 2},
    "rank": {"ndim": 2},
    "type": {"dtype": "float32"},
    "greatest rank": {"max_ndim": 3},
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_specification_of_the_input_follows(spec):
    model = making(spec=spec)
    keras_snare.shrink(model, {"before": [0, 3]})
    expected = layers.InputSpec(**spec, axes={-1: 2})
    assert model.get_layer("own").input_spec.get_config() == expected.get_config()
    model(models.inputs_for(model))


@pytest.mark.parametrize(
    "spec",
    [
        lambda width: layers.InputSpec(shape=(None, width)),
        lambda width: [layers.InputSpec(axes={1: width})],
    ],
    ids=["shape", "list"],
)
def test_specification_in_other_forms_follows(spec):
    class Demanding(Scaled):
        def build(self, input_shape):
            super().build(input_shape)
            self.input_spec = spec(input_shape[-1])

    model = making(Demanding)
    keras_snare.shrink(model, {"before": [0, 3]})
    model(models.inputs_for(model))


def test_layer_that_was_not_registered_holds_its_neighbours():
    groups = channel_groups(dense_around(Scaled(5, name="own")))
    reason = "own reads it, an operation without a rule (Scaled)"
    assert groups["before"].reason == reason
    assert "own" not in groups


def test_subclass_of_a_registered_class_is_a_wall():
    register_layer(Scaled, **OWN)
    groups = channel_groups(dense_around(Configured(5, name="own")))
    assert groups["before"].reason == "own reads it, an operation without a rule (Configured)"


def test_layer_whose_reading_is_not_declared_holds_what_it_reads():
    register_layer(Scaled, makes=OWN["makes"], width="units")
    groups = channel_groups(dense_around(Scaled(5, name="own")))
    assert groups["before"].reason == "own reads it with weights that are not declared"
    assert groups["own"].prunable


def test_channels_along_another_axis_than_the_declared_one_are_held():
    register_layer(First, reads={"kernel": 1}, makes={"kernel": 0}, width="filters", axis=1)
    inputs = keras.Input((6, 3))
    held = layers.Dense(5, name="held")(inputs)
    found = layers.Flatten()(First(4, name="own")(held))
    groups = channel_groups(keras.Model(inputs, layers.Dense(3)(found)))
    assert groups["held"].reason == "own is declared for channels along another axis"


WRONG = {
    "both": {"makes": {"kernel": 1}, "keeps": {"scale": 0}},
    "reads and keeps": {"reads": {"kernel": 0}, "keeps": {"scale": 0}},
    "reads alone": {"reads": {"kernel": 0}},
    "width alone": {"width": "units"},
}


@pytest.mark.parametrize("declaration", WRONG.values(), ids=WRONG)
def test_declaration_that_contradicts_itself_is_refused(declaration):
    with pytest.raises(ValueError, match=r"channels.*Received"):
        register_layer(Scaled, **declaration)
    assert Scaled not in RULES
    assert Scaled not in ATTRIBUTES


@pytest.mark.parametrize("thing", [None, "Scaled", int, Scaled(2)], ids=repr)
def test_only_layer_classes_are_registered(thing):
    with pytest.raises(TypeError, match="Expected a class of Keras layers. Received: "):
        register_layer(thing)


UNFITTING = {
    "unknown weight": {**OWN, "reads": {"kernl": 0}},
    "unknown width": {**OWN, "width": "unit"},
    "no weight": {**OWN, "makes": {"kernel": 1, "units": 0}},
    "other axis": {**OWN, "reads": {"kernel": 1}},
    "no axis": {**OWN, "makes": {"kernel": 1, "scale": 2}},
}


@pytest.mark.parametrize("declaration", UNFITTING.values(), ids=UNFITTING)
def test_declaration_that_does_not_fit_the_layer_is_refused(declaration):
    register_layer(Scaled, **declaration)
    model = dense_around(Scaled(5, name="own"))
    with pytest.raises((ValueError, keras_snare.SnareError), match="register_layer"):
        keras_snare.shrink(model, {"own": [0, 2]})
