"""`engine="keras"`: a network with rounded weights and activations beside its model."""

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from subclassed import own

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import trace
from keras_snare.quantize.rounding import RoundedTwin
from keras_snare.quantize.rounding.kernels import KERNELS
from keras_snare.quantize.rounding.numbers import limits_of, rounded_kernel
from keras_snare.quantize.rounding.outputs import outputs_of
from keras_snare.replacing import Replacement

layers = keras.layers
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ((), [[1.0, 0.0], [64 / 127, -126 / 127]]),
        ((-1,), [[1.0, 0.0], [64 / 127, -0.996]]),
        ((-2, -1), [[1.0, 0.0], [0.5, -0.996]]),
    ],
)
def test_kernel_in_steps_of_its_channels(axes, expected):
    kernel = ops.array([[1.0, 0.0], [0.5, -0.996]])
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        result = rounded_kernel(kernel, limits_of(kernel, axes), training=True)
    np.testing.assert_array_equal(tape.gradient(result, kernel), np.ones((2, 2)))
    np.testing.assert_allclose(result, expected, atol=1e-6)
    still = rounded_kernel(kernel, limits_of(kernel, axes), training=False)
    np.testing.assert_allclose(still, expected, atol=1e-6)
    nothing = 0.0 * kernel
    assert not np.any(rounded_kernel(nothing, limits_of(nothing, axes), training=False))


def test_nothing_is_rounded_where_litert_fuses():
    def rounded(model):
        graph = trace(model)
        found = outputs_of(graph)
        return [call.name for at, call in enumerate(graph.calls) if found[at].rounded]

    chain = models.chain(
        (6, 6, 2),
        layers.Conv2D(3, 3, name="conv"),
        layers.Dropout(0.1, name="drop"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.Conv2D(3, 1, activation="relu", name="fused"),
        layers.MaxPooling2D(name="pool"),
        layers.LeakyReLU(name="leaky"),
        layers.Flatten(name="flat"),
        layers.Dense(3, name="dense"),
        layers.Softmax(name="softmax"),
    )
    assert rounded(chain) == ["relu", "fused", "leaky", "dense"]

    inputs = keras.Input((4,))
    tensor = layers.Dense(4, name="twice")(inputs)
    summed = layers.Add(name="sum")([tensor, layers.ReLU(name="once")(tensor)])
    outputs = [layers.ReLU(name="relu")(summed), layers.Dense(2, "tanh", name="end")(summed)]
    assert rounded(keras.Model(inputs, outputs)) == ["twice", "once", "sum", "relu"]


class Counting(layers.Layer):
    """Has a kernel, a state that it writes, and a loss of its own."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2), name="kernel")
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, inputs):
        self.count.assign(self.count + 1.0)
        self.add_loss(ops.sum(self.kernel))
        return ops.matmul(inputs, self.kernel)


def test_states_and_losses_are_those_of_the_model():
    layer = Counting()
    model = models.chain((3,), layer, layers.Dense(2, activity_regularizer="l2"))
    x = np.random.default_rng(0).random((8, 3)).astype("float32")
    twin = RoundedTwin(model, None)
    twin.calibrate([[x]])
    before = float(layer.count)
    twin.share()
    instead = Replacement(model, "call", lambda call: twin.call)
    model(x, training=True)
    assert float(layer.count) == before + 1
    kernel = ops.convert_to_tensor(layer.kernel)
    rounded = np.asarray(rounded_kernel(kernel, limits_of(kernel, ()), training=True))
    assert len(model.losses) == 2
    assert float(model.losses[0]) == pytest.approx(rounded.sum(), abs=1e-5)

    high = next(one for one in twin.quantized.weights if one.path.endswith("counting/output_max"))
    start, there = float(high), float(np.asarray(layer(x)).max())
    layer.kernel.assign(3 * layer.kernel)
    model(x, training=True)
    instead.end()
    assert float(high) == pytest.approx(start + 0.01 * (3 * there - start), rel=0.02)

    twin.part()
    copied = np.asarray(twin.quantized(x, training=False))
    layer.kernel.assign(0 * layer.kernel)
    np.testing.assert_array_equal(twin.quantized(x, training=False), copied)


def soft():
    return models.chain((6, 6, 2), layers.Conv2D(4, 3, activation="softsign"))


def half():
    policy = keras.DTypePolicy("mixed_float16")
    return models.chain((4,), layers.Dense(2, name="half", dtype=policy))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (half, r"layer 'half' \(Dense\): it computes in 'mixed_float16'"),
        (own, r"Sequential or functional model. Received: 'own'.*\(Own\)"),
        (
            lambda: models.chain((4, 3), layers.LSTM(2, name="memory")),
            r"layer 'memory' \(LSTM\).*loop in float. Build it with unroll=True",
        ),
        (
            lambda: models.chain((4, 3), layers.Bidirectional(layers.GRU(2), name="both")),
            r"layer 'both' \(Bidirectional\).*loop in float. Build it with unroll=True",
        ),
        (
            lambda: models.chain((4, 4), layers.GroupNormalization(2, name="groups")),
            r"layer 'groups' \(GroupNormalization\).*Take LayerNorm",
        ),
        (soft, r"layer 'conv2d.*' \(Conv2D\): LiteRT divides by what softsign"),
    ],
)
def test_model_is_refused_by_name(build, message):
    with pytest.raises(UnsupportedModelError, match=message):
        RoundedTwin(build(), None)


def test_table_is_open(monkeypatch):
    monkeypatch.setitem(KERNELS, Counting, {})
    model = models.chain((3,), Counting())
    weights = {one.path for one in RoundedTwin(model, None).quantized.weights}
    assert "quant_counting/kernel" in weights
    assert "quant_counting/kernel_max" not in weights


def test_shared_and_nested_layers_keep_one_set_of_weights():
    shared = layers.Dense(4, "relu", name="shared")
    inner = models.chain((4,), layers.Dense(4, name="deep"), layers.Dropout(0.5), name="inner")
    inputs = keras.Input((4,))
    tensor = layers.Add()([shared(inputs), shared(inner(inputs))])
    model = keras.Model(inputs, layers.Dense(2)(tensor))
    twin, x = RoundedTwin(model, ["shared", "inner/.*"]), RANDOM.normal(size=(32, 4))
    twin.calibrate([[x]])
    paths = [one.path for one in twin.quantized.weights]
    assert paths.count("quant_shared/kernel") == 1
    assert "quant_shared_1/kernel" not in paths
    assert {"quant_inner_deep/kernel_max", "quantize_layer/input_max", "dense/kernel"} <= set(paths)
    assert "dense/kernel_max" not in paths
    expected = model(x, training=False)
    np.testing.assert_allclose(twin.quantized(x, training=False), expected, atol=0.1)
    assert not np.array_equal(twin.quantized(x, training=False), expected)


def test_masks_reach_the_layers_that_ask_for_them():
    inputs = keras.Input((6,), dtype="int32")
    tensor = layers.Dense(4)(layers.Embedding(10, 4, mask_zero=True)(inputs))
    model = keras.Model(inputs, layers.GlobalAveragePooling1D()(tensor))
    twin, x = RoundedTwin(model, None), RANDOM.integers(0, 10, (32, 6))
    x = x * [1, 1, 1, 0, 0, 0]
    twin.calibrate([[x]])
    np.testing.assert_allclose(twin.quantized(x), model(x), atol=0.002)


@pytest.mark.parametrize("first", ["rescaling", "normalization"])
def test_images_of_whole_numbers(first):
    kinds = {
        "rescaling": lambda: layers.Rescaling(1 / 255),
        "normalization": lambda: layers.Normalization(mean=100.0, variance=2500.0),
    }
    inputs = keras.Input((4, 4, 3), dtype="uint8")
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(kinds[first]()(inputs))))
    x = RANDOM.integers(0, 256, (8, 4, 4, 3)).astype("uint8")
    twin = RoundedTwin(model, None)
    twin.calibrate([[x]])
    np.testing.assert_allclose(twin.quantized(x), model(x), atol=0.05)
