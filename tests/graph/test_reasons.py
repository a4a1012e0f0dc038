"""What cannot be cut, and the reason that is given."""

import keras
import models
import pytest

import keras_snare
from keras_snare.graph.rules import RULES, rule_for

layers = keras.layers


class Doubled(layers.Layer):
    """A user's layer, unknown to the library."""

    def call(self, inputs):
        return 2 * inputs


class OtherConvolution(layers.Conv2D):
    """A subclass, which may compute anything."""


class Renormalized(layers.BatchNormalization):
    """Looks like the `renorm=True` of other Keras releases."""

    renorm = True


def held(model, layer="held"):
    """The reason why nothing of a layer can be cut."""
    group = keras_snare.channel_groups(model)[layer]
    assert not group.prunable
    assert len(group.reasons) == group.width
    return group.reason


def dense_then(*parts):
    return models.chain((4, 6), layers.Dense(5, name="held"), *parts, layers.Flatten(), _last())


def conv_then(*parts):
    conv = layers.Conv2D(4, 3, padding="same", name="held")
    return models.chain((6, 6, 2), conv, *parts, layers.Flatten(), _last())


def _last():
    return layers.Dense(3, name="last")


WALLS = {
    "custom layer": (
        lambda: dense_then(Doubled(name="wall")),
        "wall reads it, an operation without a rule (Doubled)",
    ),
    "keras layer without a rule": (
        lambda: models.chain(
            (4, 6), layers.Dense(5, name="held"), layers.Masking(name="wall"), _last()
        ),
        "wall reads it, an operation without a rule (Masking)",
    ),
    "subclass of a known layer": (
        lambda: conv_then(OtherConvolution(3, 2, name="wall")),
        "wall reads it, an operation without a rule (OtherConvolution)",
    ),
    "softmax over channels": (
        lambda: dense_then(layers.Softmax(name="wall")),
        "wall normalises over it",
    ),
    "softmax over several axes": (
        lambda: dense_then(layers.Softmax(axis=(1, 2), name="wall")),
        "wall normalises over it",
    ),
    "activation layer that mixes units": (
        lambda: dense_then(layers.Activation("softmax", name="wall")),
        "activation 'softmax' of wall may mix units",
    ),
    "activation of the layer itself": (
        lambda: models.chain((6,), layers.Dense(5, "softmax", name="held"), _last()),
        "activation 'softmax' of held may mix units",
    ),
    "convolution's own activation": (
        lambda: models.chain(
            (6, 2), layers.Conv1D(5, 2, activation="log_softmax", name="held"), layers.Flatten()
        ),
        "its width is the model's output",
    ),
    "activation that nobody knows": (
        lambda: dense_then(layers.Activation(lambda x: x + 1, name="wall")),
        "activation '<lambda>' of wall may mix units",
    ),
    "layer as an activation": (
        lambda: models.chain((6,), layers.Dense(5, layers.ReLU(), name="held"), _last()),
        "activation 'ReLU' of held may mix units",
    ),
    "normalisation over another axis": (
        lambda: dense_then(layers.BatchNormalization(axis=1, name="wall")),
        "wall takes its statistics over it",
    ),
    "renormalisation": (
        lambda: dense_then(Renormalized(name="wall")),
        "wall reads it, an operation without a rule (Renormalized)",
    ),
    "window over channels": (
        lambda: dense_then(layers.Conv1D(2, 2, data_format="channels_first", name="wall")),
        "wall moves its window over it",
    ),
    "pooling over channels": (
        lambda: dense_then(layers.MaxPooling1D(2, data_format="channels_first", name="wall")),
        "wall pools over it",
    ),
    "global pooling over channels": (
        lambda: models.chain(
            (4, 6),
            layers.Dense(5, name="held"),
            layers.GlobalAveragePooling1D(data_format="channels_first", name="wall"),
            _last(),
        ),
        "wall pools over it",
    ),
    "padding of channels": (
        lambda: conv_then(layers.ZeroPadding2D(1, data_format="channels_first", name="wall")),
        "wall resizes it",
    ),
    "reshape that mixes channels": (
        lambda: dense_then(layers.Reshape((5, 4), name="wall")),
        "wall does not keep its channels apart",
    ),
    "selection of units": (
        lambda: models.chain(
            (6,),
            layers.Dense(5, name="held"),
            keras_snare.layers.FeatureSelection([0, 1], name="wall"),
            _last(),
        ),
        "wall selects among it already",
    ),
    "single unit": (
        lambda: models.chain((6,), layers.Dense(1, name="held"), _last()),
        "it has a single unit, and one must stay",
    ),
}


@pytest.mark.parametrize(("build", "reason"), WALLS.values(), ids=WALLS)
def test_reason(build, reason):
    if "single unit" in reason:
        assert keras_snare.channel_groups(build())["held"].reason == reason
    else:
        assert held(build()) == reason


@pytest.mark.parametrize(("build", "reason"), WALLS.values(), ids=WALLS)
def test_reason_stands_in_the_print(build, reason):
    assert f"cannot be cut: {reason}" in str(keras_snare.channel_groups(build()))


def test_last_layer_is_the_models_output():
    assert held(models.dense(), "last") == "its width is the model's output"


def test_output_in_the_middle_is_the_models_output():
    groups = keras_snare.channel_groups(models.SMALL["several_ends"]())
    assert groups["middle"].reason == "its width is the model's output"
    assert groups["seen"].prunable


def test_output_behind_flatten_holds_the_filters():
    model = models.chain((6, 6, 2), layers.Conv2D(4, 3, name="held"), layers.Flatten())
    assert held(model) == "its width is the model's output"


@pytest.mark.parametrize(
    ("operation", "kind"),
    [(lambda x: keras.ops.top_k(x, 3)[0], "TopK"), (keras.ops.diff, "Diff")],
    ids=["several outputs", "function"],
)
def test_operation_node_is_a_wall(operation, kind):
    inputs = keras.Input((6,), batch_size=5)
    unit = layers.Dense(5, name="held")(inputs)
    model = keras.Model(inputs, layers.Dense(5, name="last")(operation(unit)))
    assert held(model).endswith(f"an operation without a rule ({kind})")


def test_channels_cannot_become_examples():
    inputs = keras.Input((6,), batch_size=5)
    unit = keras.ops.transpose(layers.Dense(5, name="held")(inputs))
    model = keras.Model(inputs, layers.Dense(5, name="last")(unit))
    assert not keras_snare.channel_groups(model)["held"].prunable


def test_what_comes_behind_a_wall_can_be_cut():
    model = dense_then(Doubled(), layers.Dense(4, "relu", name="free"))
    assert keras_snare.channel_groups(model)["free"].prunable


def test_wall_in_one_branch_holds_what_is_coupled_through_another():
    inputs = keras.Input((6,))
    one, other = layers.Dense(5, name="held")(inputs), layers.Dense(5, name="other")(inputs)
    joined = layers.Add()([one, other])
    outputs = layers.Concatenate()([joined, Doubled(name="wall")(other)])
    model = keras.Model(inputs, layers.Dense(3)(outputs))
    assert held(model).startswith("wall reads it")
    assert held(model, "other").startswith("wall reads it")


def test_add_with_an_input_holds_the_units():
    inputs = keras.Input((6,))
    joined = layers.Add(name="join")([inputs, layers.Dense(6, name="held")(inputs)])
    model = keras.Model(inputs, _last()(joined))
    assert held(model) == "join joins it with a tensor of fixed width"


def test_shared_layer_on_an_input_holds_what_it_reads_elsewhere():
    inputs = keras.Input((5,))
    shared = layers.Dense(4, "relu", name="shared")
    outputs = layers.Add()([shared(layers.Dense(5, name="held")(inputs)), shared(inputs)])
    model = keras.Model(inputs, _last()(outputs))
    assert held(model) == "shared is also applied to a tensor of fixed width"
    assert keras_snare.channel_groups(model)["shared"].prunable


@pytest.mark.parametrize("name", ["shared_activation_weights", "shared_reshape"])
def test_shared_layer_that_knows_its_width_holds_what_it_is_applied_to(name):
    groups = keras_snare.channel_groups(models.SMALL[name]())
    assert groups["unit"].reason.endswith("is also applied to a tensor of fixed width")
    assert groups["free"].prunable


def test_shared_selection_is_one_group():
    one, other = keras.Input((6,)), keras.Input((6,))
    selection = keras_snare.layers.FeatureSelection(range(6), name="selection")
    ends = [layers.Dense(4, "relu")(selection(tensor)) for tensor in (one, other)]
    model = keras.Model([one, other], _last()(layers.Concatenate()(ends)))
    group = keras_snare.channel_groups(model)["selection"]
    assert group.width == 6
    assert len(group.with_role("reader")) == 2


@pytest.mark.parametrize("axis", [1, 2], ids=["positions", "channels"])
def test_softmax_with_a_mask_holds_the_units(axis):
    inputs, mask = keras.Input((4, 6)), keras.Input((4, 5), dtype="bool")
    unit = layers.Dense(5, name="held")(inputs)
    masked = layers.Softmax(axis=axis, name="masked")(unit, mask=mask)
    model = keras.Model([inputs, mask], _last()(masked))
    assert held(model).startswith("masked ")


def test_lora_holds_its_inputs_and_makes_no_units():
    model = models.chain(
        (6,), layers.Dense(5, name="held"), layers.Dense(4, name="adapted"), layers.ReLU(), _last()
    )
    model.get_layer("adapted").enable_lora(2)
    assert held(model) == "adapted is quantized or carries LoRA matrices"
    assert "adapted" not in keras_snare.channel_groups(model)


@pytest.mark.parametrize("kind", ["dense", "conv_2d"])
def test_lora_convolution_and_dense_are_walls(kind):
    model = models.SMALL[kind]()
    reader = [layer for layer in model.layers if layer.weights][1]
    reader.enable_lora(2)
    groups = keras_snare.channel_groups(model)
    assert reader.name not in groups
    assert not groups.groups[0].prunable


def test_quantized_dense_holds_its_inputs():
    model = models.chain((6,), layers.Dense(5, name="held"), layers.Dense(4, name="eight_bits"))
    model.get_layer("eight_bits").quantize("int8")
    assert held(model) == "eight_bits is quantized or carries LoRA matrices"


def test_rules_are_for_the_class_itself():
    assert rule_for(layers.Conv2D(2, 2)) is RULES[layers.Conv2D]
    assert rule_for(OtherConvolution(2, 2)) is None
    assert rule_for(Renormalized()) is None


def test_every_rule_has_a_small_model():
    built = [build() for build in models.SMALL.values()]
    shown = {type(layer) for model in built for layer in model._flatten_layers()}
    assert {layer.__name__ for layer in RULES.keys() - shown} == set()
