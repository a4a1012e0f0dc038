"""Layers made of layers are laid open: their parts are seen; what cannot be seen stays whole."""

import composite_models
import keras
import numpy as np
import pytest

import keras_snare
from keras_snare.graph import channel_groups, trace
from keras_snare.graph.rules import RULES, rule_for
from keras_snare.surgery.attributes import ATTRIBUTES

layers, ops = keras.layers, keras.ops


class Made(layers.Layer):
    """Two dense layers, and code of its own around them."""

    def __init__(self, code, units=5, **kwargs):
        super().__init__(**kwargs)
        self.code = code
        self.unit, self.down = layers.Dense(units, name="unit"), layers.Dense(6, name="down")

    def build(self, shape):
        self.unit.build(shape)
        self.down.build((*shape[:-1], self.unit.units))

    def call(self, inputs):
        return self.code(self, inputs)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 6)


def around(code, units=5):
    made = Made(code, units, name="made")
    return composite_models.functional(layers.Dense(4, name="first"), made)


@pytest.mark.parametrize("name", composite_models.BUILDS)
def test_parts_are_offered(name):
    groups = channel_groups(composite_models.build(name))
    kinds = {one.name.split("/")[-1].split(":")[-1] for one in groups.prunable()}
    expected = {"exchange": {"one", "hidden", "back"}, "scaled": {"inner"}}
    assert kinds - {"last"} == expected.get(name, {"heads", "key", "value", "up"})


def test_parts_of_one_name_are_told_apart():
    groups = channel_groups(composite_models.build("stack"))
    heads = [one.name for one in groups if one.name.endswith(":heads")]
    assert heads == ["stack/block/attention:heads", "stack/block_1/attention:heads"]


def test_sizes_that_are_not_known_stay_unknown():
    graph = opened(composite_models.build("causal"))
    shapes = {call.name: graph.shape(call.outputs[0]) for call in graph.calls}
    assert shapes["block/attention"] == (None, None, 6)
    assert shapes["block/feed/up"] == (None, None, 5)
    assert not any({13, 17} & set(shape) for shape in shapes.values())


def opened(model):
    return trace(model, is_known=lambda operation: rule_for(operation) is not None)


@pytest.mark.parametrize("name", composite_models.BUILDS)
def test_every_parameter_is_counted(name):
    model = composite_models.build(name)
    assert keras_snare.cost(model).params == model.count_params()


def test_costs_are_those_of_the_parts():
    costs = [keras_snare.cost(composite_models.build(name)) for name in ("block", "causal")]
    block, causal = ({row.layer: row for row in one.layers} for one in costs)
    up, attention = block["block/feed/up"], block["block/attention"]
    assert (up.params, up.flops) == (35, 4 * (2 * 6 * 5 + 5))
    assert attention.params == 3 * 6 * 12 + 3 * 12 + 12 * 6 + 6
    assert causal["block/feed/up"].flops == 2 * 6 * 5 + 5  # of one position


@pytest.mark.parametrize("name", composite_models.BUILDS)
def test_run_computes_what_the_model_computes(name):
    model = composite_models.build(name)
    inputs = composite_models.inputs_for(model)
    found, seen = {}, []

    def read(call, key, value):
        found[call.name, key] = value
        seen.append(call.name)
        return value

    graph = opened(model)
    (output,) = graph.run([ops.convert_to_tensor(inputs)], read)
    np.testing.assert_array_equal(output, model(inputs))
    weighted = {call.name for call in graph.calls if getattr(call.operation, "weights", ())}
    assert weighted <= set(seen)
    for (_, key), value in found.items():
        sizes = list(zip(graph.shape(key), value.shape, strict=True))[1:]
        assert all(size in (None, one) for size, one in sizes)


def test_run_hands_the_parts_what_the_hook_returns():
    model = composite_models.build("causal")
    graph = opened(model)
    up = model.get_layer("block").feed.layers[-1]

    def silence(call, key, value):
        return value * 0 if call.operation is up else value

    inputs = composite_models.inputs_for(model)
    before = model(inputs)
    (silenced,) = graph.run([ops.convert_to_tensor(inputs)], silence)
    np.testing.assert_array_equal(model(inputs), before)
    up.kernel.assign(up.kernel * 0)
    np.testing.assert_array_equal(silenced, model(inputs))


@pytest.mark.parametrize("name", composite_models.BUILDS)
def test_tracing_leaves_nothing_behind_and_may_be_repeated(name):
    model = composite_models.build(name)
    model.compile("sgd", "mse")

    def state():
        held = model._flatten_layers()
        nodes = [(one.name, len(one._inbound_nodes), len(one._outbound_nodes)) for one in held]
        own = [sorted(set(vars(one)) - {"_called"}) for one in model._flatten_layers()]
        return nodes, own, [id(one.value) for one in model.variables], len(model.losses)

    before, found = state(), []
    for _ in range(2):
        found.append(str(channel_groups(model)))
        assert state() == before
    assert found[0] == found[1]


def test_tracing_gives_out_no_names():
    model = composite_models.build("causal")
    channel_groups(model)
    names = [layers.Add().name, layers.Multiply().name]
    channel_groups(model)
    assert [*names, layers.Add().name] == ["add", "multiply", "add_1"]


def test_registered_class_is_not_laid_open(monkeypatch):
    class Whole(Made):
        pass

    for table in (RULES, ATTRIBUTES):
        monkeypatch.setitem(table, Whole, None)  # Taken out in the end.
    keras_snare.register_layer(Whole)
    model = composite_models.functional(
        layers.Dense(6, name="first"), Whole(lambda self, x: self.down(self.unit(x)), name="made")
    )
    groups = channel_groups(model)
    assert "first" in groups
    assert "made/unit" not in groups


def needs_a_value(self, x):
    return self.down(self.unit(x)) if float(ops.sum(x)) > 0 else x


def own_kernel(self, x):
    return self.down(self.unit(x)) + ops.matmul(ops.matmul(x, self.unit.kernel), self.down.kernel)


def on_constants(self, x):
    return self.down(self.unit(x)) + self.down(self.unit(np.ones((1, 4, 4), "float32")))


def attend(self, x, scale):
    keys = self.unit(x)
    scores = ops.matmul(keys, ops.transpose(keys, (0, 2, 1))) * scale(keys)
    return self.down(ops.matmul(ops.softmax(scores), keys))


def by_shape(keys):
    return ops.shape(keys)[-1] ** -0.5


def by_cast_shape(keys):
    return 1 / ops.sqrt(ops.cast(ops.shape(keys)[-1], "float32"))


WALLS = {
    "code that needs values": (
        needs_a_value,
        "first",
        "made reads it, an operation without a rule (Made; its call does not run on symbolic "
        "inputs, ValueError)",
    ),
    "weights that code reads": (
        own_kernel,
        "made/unit",
        "the code of made reads the weights of made/unit",
    ),
    "parts called on constants": (
        on_constants,
        "made/unit",
        "the code of made reads the weights of made/unit",
    ),
    "number from the shape": (
        lambda self, x: attend(self, x, by_shape),
        "made/unit",
        "code around made/matmul may take 0.4472 from its width",
    ),
    "tensor from the shape": (
        lambda self, x: attend(self, x, by_cast_shape),
        "made/unit",
        "code around made/matmul may take 0.4472 from its width",
    ),
    "width in a reshape": (
        lambda self, x: self.down(ops.reshape(self.unit(x), (-1, 4, 5))),
        "made/unit",
        "made/reshape states its width in the model's code",
    ),
}


@pytest.mark.parametrize(("code", "held", "reason"), WALLS.values(), ids=WALLS)
def test_what_code_depends_on_stays_whole(code, held, reason):
    group = channel_groups(around(code))[held]
    assert not group.prunable
    assert group.reason == reason


def test_number_that_is_not_from_the_width_holds_nothing():
    model = around(lambda self, x: attend(self, x, lambda keys: 0.125))
    assert channel_groups(model)["made/unit"].prunable


def test_layer_that_depends_on_sizes_that_are_not_known_is_not_laid_open():
    def by_length(self, x):
        for _ in range(ops.shape(x)[1]):
            x = ops.tanh(x)
        return self.down(self.unit(x))

    inputs = keras.Input((None, 6))
    made = Made(by_length, name="made")
    found = made(layers.Dense(4, name="first")(inputs))
    groups = channel_groups(keras.Model(inputs, layers.Dense(3)(found)))
    assert "its call does not run on symbolic inputs" in groups["first"].reason


def test_layer_that_is_said_to_return_something_else_is_not_laid_open():
    inputs = keras.Input((4, 6))
    made = Made(lambda self, x: (self.down(self.unit(x)), x), name="made")
    found = made(layers.Dense(4, name="first")(inputs))
    groups = channel_groups(keras.Model(inputs, layers.Dense(3)(found)))
    assert "its call returns other tensors than it was said to" in groups["first"].reason


def test_argument_that_the_shapes_do_not_know_is_passed_over():
    class Cached(layers.MultiHeadAttention):
        def call(self, query, value, cache=None, **kwargs):
            return super().call(query, value, **kwargs)

    class Around(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.attention = Cached(2, 3, dropout=0.1, name="attention")

        def build(self, shape):
            self.attention.build(shape, shape)

        def call(self, inputs):
            return inputs + self.attention(inputs, inputs, cache=None)

        def compute_output_shape(self, shape):
            return shape

    groups = channel_groups(composite_models.functional(Around(name="around")))
    assert any(one.prunable for one in groups if one.name.startswith("around/attention"))
