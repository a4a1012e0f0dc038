"""Which weights are connections, and what their layers are called."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare.masking import kernels_of


class Block(layers.Layer):
    """A user's layer with weights of its own, and layers in it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(3, name="first")
        self.rest = [layers.Dense(3, name="second")]

    def build(self, shape):
        self.mix = self.add_weight(shape=(3, 3), name="mix")
        self.scale = self.add_weight(shape=(3,), name="scale")
        super().build(shape)

    def call(self, inputs):
        return keras.ops.matmul(self.rest[0](self.first(inputs)), self.mix) * self.scale


def _model():
    inputs = keras.Input((8, 4))
    tensor = layers.MultiHeadAttention(2, 3, name="attention")(inputs, inputs)
    tensor = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="lstm"), name="both")(
        tensor
    )
    tensor = layers.LayerNormalization(axis=(1, 2), name="norm")(tensor)
    tensor = layers.PReLU(name="slope")(tensor)
    tensor = Block(name="block")(tensor)
    tail = keras.Sequential([layers.Conv1D(4, 2, name="conv"), layers.Dense(2, name="out")])
    tail.name = "tail"
    return keras.Model(inputs, tail(tensor))


def test_kernels_are_found_wherever_they_lie():
    found = [(one.name, one.layer) for one in kernels_of(_model())]
    cells = [f"both/{way}_lstm/lstm_cell" for way in ("forward", "backward")]
    assert found == [
        *((f"attention/{part}/kernel", "attention") for part in ("query", "key", "value")),
        ("attention/attention_output/kernel", "attention"),
        *((f"{cell}/{name}", "both") for cell in cells for name in ("kernel", "recurrent_kernel")),
        ("block/mix", "block"),
        ("block/first/kernel", "block/first"),
        ("block/second/kernel", "block/second"),
        ("tail/conv/kernel", "tail/conv"),
        ("tail/out/kernel", "tail/out"),
    ]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("attention", {"attention"}),
        ("conv", {"tail/conv"}),
        ("tail/.*", {"tail/conv", "tail/out"}),
        (layers.Dense, {"block/first", "block/second", "tail/out"}),
        (lambda layer: layer.name != "attention", {"both", "block", "tail/out"}),
    ],
    ids=["name", "inner_name", "expression", "class", "predicate"],
)
def test_layers_are_chosen_as_elsewhere(chosen, expected):
    found = {one.layer for one in kernels_of(_model(), chosen)}
    assert found >= expected
    assert callable(chosen) or found == expected


def test_a_shared_layer_counts_once_and_a_frozen_one_not_at_all():
    shared, frozen = layers.Dense(3, name="shared"), layers.Dense(3, name="frozen")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, frozen(shared(shared(inputs))))
    frozen.trainable = False
    (kernel,) = kernels_of(model)
    assert (kernel.name, kernel.shape, kernel.size) == ("shared/kernel", (3, 3), 9)
    assert kernel.owner is shared


def test_names_leave_out_the_model_so_that_a_second_one_has_the_same():
    names = [[one.name for one in kernels_of(_model())] for _ in range(2)]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("model", "chosen", "error", "message"),
    [
        (lambda: 3, None, TypeError, "`model` is a Keras 3 model. Received: int"),
        (
            lambda: keras.Sequential([layers.Dense(2)]),
            None,
            keras_snare.UnsupportedModelError,
            "is not built. Give it a keras.Input",
        ),
        (
            lambda: keras.Sequential([keras.Input((2,)), layers.BatchNormalization()]),
            None,
            keras_snare.UnsupportedModelError,
            "no weight of two axes or more that is trained",
        ),
        (_model, "nothing", ValueError, "matches no layer that has connections.*block/first"),
    ],
    ids=["number", "unbuilt", "no_kernel", "no_match"],
)
def test_wrong_use(model, chosen, error, message):
    with pytest.raises(error, match=message):
        kernels_of(model(), chosen)


def test_masks_apply_by_name_and_refuse_another_network():
    model = _model()
    masks = keras_snare.Masks({one.name: np.zeros(one.shape) for one in kernels_of(model, "conv")})
    masks.apply(model)
    assert keras_snare.Masks.of(model, "conv").sparsity == 1
    assert keras_snare.Masks.of(model, "block/first").sparsity == 0
    for wrong, message in (
        ({"tail/conv/kernel": np.ones((1, 1))}, r"has the shape \(1, 1\), the kernel"),
        ({"elsewhere/kernel": np.ones((1, 1))}, "'elsewhere/kernel', which model .* does not have"),
    ):
        before = model.get_weights()
        with pytest.raises(keras_snare.InvalidPlanError, match=message):
            keras_snare.Masks({**masks, **wrong}).apply(model)
        assert all(map(np.array_equal, before, model.get_weights()))


class OwnNormalization(layers.LayerNormalization):
    pass


class OwnSlope(layers.PReLU):
    pass


class OwnEinsum(layers.EinsumDense):
    pass


def test_classes_of_the_user_keep_what_keras_leaves_alone():
    inputs = keras.Input((3, 4))
    tensor = OwnEinsum("abc,cde->abde", (None, 2, 5), bias_axes="de", name="einsum")(inputs)
    tensor = layers.Reshape((3, 10))(tensor)
    tensor = OwnNormalization(axis=(1, 2), name="norm")(tensor)
    model = keras.Model(inputs, OwnSlope(name="slope")(tensor))
    assert [one.name for one in kernels_of(model)] == ["einsum/kernel"]
