"""`engine="keras"`: where a network is rounded, how, and what LiteRT makes of it."""

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import trace
from keras_snare.quantize.integer_file import integer_file
from keras_snare.quantize.rounding import RoundedTwin
from keras_snare.quantize.rounding.forms import ACTIVATION_FORMS
from keras_snare.quantize.rounding.kernels import KERNELS
from keras_snare.quantize.rounding.numbers import limits_of, rounded_kernel
from keras_snare.quantize.rounding.outputs import outputs_of
from keras_snare.replacing import Replacement

layers = keras.layers


def depthwise():
    return models.chain(
        (6, 6, 2),
        layers.Conv2D(3, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name="depth"),
        layers.BatchNormalization(),
        layers.Activation("relu6"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    )


def one_dimensional():
    return models.chain(
        (8, 3),
        layers.Conv1D(5, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling1D(2),
        layers.Conv1D(4, 2, activation="elu"),
        layers.Flatten(),
        layers.Dense(3),
    )


def branches():
    inputs = keras.Input((6, 6, 2))
    first = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(4, 3, padding="same")(inputs))
    second = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(first))
    tensor = layers.Concatenate()([layers.ReLU()(first + second), layers.Conv2D(2, 1)(first)])
    gate = layers.Dense(6, "sigmoid")(layers.GlobalAveragePooling2D()(tensor))
    tensor = layers.Multiply()([tensor, layers.Reshape((1, 1, 6))(gate)])
    tensor = layers.Conv2DTranspose(3, 3, strides=2, activation="relu")(tensor)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(tensor)))


def tokens():
    inputs = keras.Input((6, 4))
    tensor = layers.Rescaling(2.0, -1.0)(inputs)
    tensor = layers.Normalization(mean=0.5, variance=2.0)(tensor)
    mixed = layers.RMSNormalization()(layers.Dense(4)(layers.Dense(8, "gelu")(tensor)))
    tensor = layers.LayerNormalization()(mixed + tensor)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(tensor)))


def recurrent():
    # What is between its gates is not rounded in training.
    return models.chain((6, 4), layers.GRU(4, unroll=True), layers.Dense(3))


def words():
    inputs = keras.Input((6,), dtype="int32")
    tensor = layers.Conv1D(4, 3, activation="relu")(layers.Embedding(10, 8)(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling1D()(tensor)))


def attention():
    inputs = keras.Input((6, 8))
    tensor = layers.LayerNormalization()(inputs)
    return keras.Model(inputs, layers.MultiHeadAttention(2, 4)(tensor, tensor))


def activation(name):
    def build():
        inner, alone = layers.Conv2D(4, 3, activation=name), layers.Activation(name)
        return models.chain((6, 6, 2), inner, alone, layers.Flatten(), layers.Dense(3))

    build.__name__ = name
    return build


def inputs_of(model):
    random = np.random.default_rng(0)
    if "int" in model.inputs[0].dtype:
        return random.integers(0, 10, (32, *model.inputs[0].shape[1:])).astype("int32")
    return random.normal(size=(32, *model.inputs[0].shape[1:])).astype("float32")


def scattered(model):
    """Gives statistics and biases values that they might have after a training."""
    random = np.random.default_rng(1)
    for one in model.weights:
        if one.name in ("bias", "beta", "moving_mean"):
            one.assign(random.normal(size=one.shape) * 0.3)
        if one.name in ("gamma", "moving_variance"):
            one.assign(random.random(one.shape) + 0.5)
    return model


def computed_by(content, x):
    """What the kernels of LiteRT compute of a file, without a delegate, and an interpreter."""
    kind = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    (start,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for one in x:
        interpreter.set_tensor(start["index"], one[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(end["index"])[0])
    return np.array(found), interpreter


FAST = [(depthwise, 2, 0.5), (one_dimensional, 2, 0.5), (branches, 4, 1.0), (attention, 5, 1.0)]
SLOW = [(tokens, 5, 1.0), (recurrent, 25, 8.0), (words, 2, 0.3)]
SLOW += [(activation(name), 4, 1.0) for name in (*ACTIVATION_FORMS, "silu", "hard_silu")]
FILES = [pytest.param(*case, id=case[0].__name__) for case in FAST]
FILES += [pytest.param(*case, id=case[0].__name__, marks=pytest.mark.slow) for case in SLOW]


@pytest.mark.filterwarnings("ignore::UserWarning:tensorflow")
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize(("build", "most", "mean"), FILES)
def test_file_computes_what_the_rounded_network_does(build, most, mean):
    model = scattered(build())
    x = inputs_of(model)
    twin = RoundedTwin(model, None)
    twin.calibrate([[x]])
    expected = np.asarray(twin.quantized(x, training=False))
    found, interpreter = computed_by(integer_file(twin.quantized, [[x]], "float32", "float32"), x)
    quantum = (expected.max() - expected.min()) / 255
    gaps = np.abs(found - expected) / quantum
    assert gaps.max() <= most + 0.01
    assert gaps.mean() <= mean
    # It is another function than that of the model, and near to it.
    gap = np.abs(expected - np.asarray(model(x, training=False))).mean() / quantum
    assert 0.01 < gap < 5
    if build is depthwise:
        scales = [
            len(one["quantization_parameters"]["scales"])
            for one in interpreter.get_tensor_details()
            if tuple(one["shape"]) == (1, 3, 3, 6)
        ]
        assert scales == [6]


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


def half():
    policy = keras.DTypePolicy("mixed_float16")
    return models.chain((4,), layers.Dense(2, name="half", dtype=policy))


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


def own():
    model = Own()
    model(np.zeros((1, 4), "float32"))
    return model


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
            lambda: models.chain((4, 4), layers.GroupNormalization(2, name="groups")),
            r"layer 'groups' \(GroupNormalization\).*Take LayerNorm",
        ),
        (activation("softsign"), r"layer 'conv2d.*' \(Conv2D\): LiteRT divides by what softsign"),
    ],
)
def test_model_is_refused_by_name(build, message):
    with pytest.raises(UnsupportedModelError, match=message):
        RoundedTwin(build(), None)


def test_layer_that_stays_in_float_is_named():
    model = models.chain((4,), layers.Lambda(ops.negative, name="minus"), layers.Dense(2))
    twin, x = RoundedTwin(model, None), np.ones((2, 4), "float32")
    twin.calibrate([[x]])
    with pytest.raises(UnsupportedModelError, match=r"float in minus\. Replace"):
        integer_file(twin.quantized, [[x]], "int8", "int8")


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
    twin, x = RoundedTwin(model, ["shared", "inner/.*"]), inputs_of(model)
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
    twin, x = RoundedTwin(model, None), inputs_of(model) * [1, 1, 1, 0, 0, 0]
    twin.calibrate([[x]])
    np.testing.assert_allclose(twin.quantized(x), model(x), atol=0.002)
