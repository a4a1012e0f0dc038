"""`engine="keras"`: what LiteRT makes of a rounded network."""

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.engines import ENGINES, quantized_by
from keras_snare.quantize.integer_file import Rounded, integer_file
from keras_snare.quantize.rounding import RoundedTwin
from keras_snare.quantize.rounding.forms import ACTIVATION_FORMS
from keras_snare.quantize.trial import compared

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


def gated():
    memory = layers.LSTM(3, return_sequences=True, unroll=True)
    more = layers.Bidirectional(memory), layers.GRU(4, unroll=True)
    return models.chain((4, 3), *more, layers.Dense(3))


def gated_and_curved():
    first = layers.Conv1D(4, 2, activation="elu"), layers.Activation("softplus")
    return models.chain((4, 3), *first, layers.GRU(4, unroll=True), layers.Dense(3))


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
SLOW = [
    (tokens, 5, 1.0),
    (recurrent, 25, 8.0),
    (gated, 40, 12.0),
    (gated_and_curved, 40, 12.0),
    (words, 2, 0.3),
]
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


def test_layer_that_stays_in_float_is_named():
    model = models.chain((4,), layers.Lambda(ops.negative, name="minus"), layers.Dense(2))
    twin, x = RoundedTwin(model, None), np.ones((2, 4), "float32")
    twin.calibrate([[x]])
    with pytest.raises(UnsupportedModelError, match=r"float in minus\. Replace"):
        integer_file(twin.quantized, [[x]], "int8", "int8")


def test_a_loop_beside_a_recurrent_layer_is_refused():
    class Looped(layers.Layer):
        def call(self, x):
            def more(at, _):
                return at < tf.cast(x[0, 0], "int32")

            return tf.while_loop(more, lambda at, y: (at + 1, 2 * y), (0, x))[1]

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    model = models.chain((4, 3), layers.GRU(4, unroll=True), Looped(name="looped"), layers.Dense(2))
    twin, x = RoundedTwin(model, None), np.ones((2, 4, 3), "float32")
    twin.calibrate([[x]])
    with pytest.raises(UnsupportedModelError, match="without loops.*looped"):
        integer_file(twin.quantized, [[x]], "int8", "int8")


def two_ends():
    """Names are not in the order of the ends."""
    inputs = [keras.Input((6,), name="zeta"), keras.Input((5,), name="alpha")]
    tensor = layers.Concatenate()([layers.Dense(4, "relu")(one) for one in inputs])
    ends = {"z": layers.Dense(2, name="first")(tensor), "a": layers.Dense(3, name="last")(tensor)}
    return keras.Model(inputs, ends)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_that_is_off_is_not_written(engine):
    random = np.random.default_rng(0)
    x = [random.random((8, 6), "float32"), random.random((8, 5), "float32")]
    twin = quantized_by(engine, two_ends(), None, None, {})
    twin.calibrate([x])
    content = integer_file(twin.quantized, [x], "int8", "uint8")
    rounded = Rounded(twin.quantized, 1)
    _, difference, examples = compared(rounded, content, [x], 0.1, "Do this.", stepped=True)
    assert (difference <= 0.05, examples) == (True, 8)
    for kernel in twin.quantized.weights:
        if kernel.name.split(":")[0].endswith("kernel"):
            kernel.assign(-1 * kernel)
    with pytest.raises(UnsupportedModelError, match=r"differs from Keras by 0.1 .* Do this\."):
        compared(rounded, content, [x], 0.1, "Do this.", stepped=True)
