"""Small models for the tests: every layer that has a rule stands in at least one of them."""

from functools import partial

import keras
import numpy as np
from branched_models import BRANCHED
from operation_models import OPERATIONS
from sequence_models import SEQUENCES

layers = keras.layers
CONVOLUTIONS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}


def chain(shape, *parts, name=None):
    """A Sequential model on inputs of a shape."""
    return keras.Sequential([keras.Input(shape), *parts], name=name)


def _between(rank, make):
    """A layer between one that makes channels and one that reads them; rank 0 has Dense only."""
    layer = make()
    if rank == 0:
        return chain((6,), layers.Dense(5), layer, layers.Dense(4, "relu"), layers.Dense(3))
    convolution = CONVOLUTIONS[rank](5, 2)
    readers = (layers.Flatten(), layers.Dense(4, "relu"), layers.Dense(3))
    return chain((4,) * rank + (2,), convolution, layer, *readers)


# name -> (rank, what makes the layer)
LAYERS = {
    "activation": (0, lambda: layers.Activation("tanh")),
    "activity_regularization": (0, lambda: layers.ActivityRegularization(l2=0.1)),
    "alpha_dropout": (0, lambda: layers.AlphaDropout(0.5)),
    "average_pooling_1d": (1, lambda: layers.AveragePooling1D(2)),
    "average_pooling_2d": (2, lambda: layers.AveragePooling2D(2, padding="same")),
    "average_pooling_3d": (3, lambda: layers.AveragePooling3D(2)),
    "batch_normalization": (2, lambda: layers.BatchNormalization()),
    "batch_normalization_bare": (2, lambda: layers.BatchNormalization(scale=False, center=False)),
    "batch_normalization_dense": (0, lambda: layers.BatchNormalization(scale=False)),
    "batch_normalization_frozen": (1, lambda: layers.BatchNormalization(trainable=False)),
    "conv_1d_transpose": (1, lambda: layers.Conv1DTranspose(4, 2, activation="relu")),
    "conv_2d_transpose": (2, lambda: layers.Conv2DTranspose(4, 3, strides=2, use_bias=False)),
    "conv_3d_transpose": (3, lambda: layers.Conv3DTranspose(4, 2)),
    "cropping_1d": (1, lambda: layers.Cropping1D(1)),
    "cropping_2d": (2, lambda: layers.Cropping2D(((1, 0), (0, 1)))),
    "cropping_3d": (3, lambda: layers.Cropping3D(1)),
    "depthwise_conv_1d": (1, lambda: layers.DepthwiseConv1D(2, activation="relu")),
    "depthwise_conv_2d": (2, lambda: layers.DepthwiseConv2D(2, depth_multiplier=2)),
    "dropout": (0, lambda: layers.Dropout(0.5)),
    "dropout_noise_shape": (1, lambda: layers.Dropout(0.5, noise_shape=(None, 1, 5))),
    "elu": (0, lambda: layers.ELU()),
    "gaussian_dropout": (0, lambda: layers.GaussianDropout(0.5)),
    "gaussian_noise": (0, lambda: layers.GaussianNoise(0.5)),
    "global_average_pooling_3d_kept": (3, lambda: layers.GlobalAveragePooling3D(keepdims=True)),
    "identity": (0, lambda: layers.Identity()),
    "layer_normalization": (0, lambda: layers.LayerNormalization()),
    "layer_normalization_all_axes": (2, lambda: layers.LayerNormalization(axis=[1, 2, 3])),
    "layer_normalization_bare": (1, lambda: layers.LayerNormalization(scale=False, center=False)),
    "layer_normalization_over_time": (1, lambda: layers.LayerNormalization(axis=1)),
    "leaky_relu": (0, lambda: layers.LeakyReLU()),
    "max_pooling_1d": (1, lambda: layers.MaxPooling1D(2)),
    "max_pooling_2d": (2, lambda: layers.MaxPooling2D(2, strides=1)),
    "max_pooling_3d": (3, lambda: layers.MaxPooling3D(2)),
    "normalization": (0, lambda: layers.Normalization(axis=None, mean=0.1, variance=2.0)),
    "prelu": (2, lambda: layers.PReLU("uniform")),
    "prelu_shared": (2, lambda: layers.PReLU("uniform", shared_axes=[1, 2])),
    "rescaling": (0, lambda: layers.Rescaling(0.5, 1.0)),
    "rms_normalization": (0, lambda: layers.RMSNormalization()),
    "separable_conv_1d": (1, lambda: layers.SeparableConv1D(4, 2, activation="relu")),
    "separable_conv_2d": (2, lambda: layers.SeparableConv2D(4, 2, depth_multiplier=2)),
    "spectral_normalization": (0, lambda: layers.SpectralNormalization(layers.Dense(4))),
    "unit_normalization": (0, lambda: layers.UnitNormalization()),
    "relu": (0, lambda: layers.ReLU(max_value=2.0, negative_slope=0.1)),
    "softmax_over_time": (1, lambda: layers.Softmax(axis=1)),
    "spatial_dropout_1d": (1, lambda: layers.SpatialDropout1D(0.5)),
    "spatial_dropout_2d": (2, lambda: layers.SpatialDropout2D(0.5)),
    "spatial_dropout_3d": (3, lambda: layers.SpatialDropout3D(0.5)),
    "up_sampling_1d": (1, lambda: layers.UpSampling1D(2)),
    "up_sampling_2d": (2, lambda: layers.UpSampling2D(2, interpolation="bilinear")),
    "up_sampling_3d": (3, lambda: layers.UpSampling3D(2)),
    "zero_padding_1d": (1, lambda: layers.ZeroPadding1D(1)),
    "zero_padding_2d": (2, lambda: layers.ZeroPadding2D(1)),
    "zero_padding_3d": (3, lambda: layers.ZeroPadding3D(1)),
}

# Newer than the oldest Keras.
LAYERS |= {
    f"adaptive_{kind.lower()}_pooling_{rank}d": (
        rank,
        lambda kind=kind, rank=rank: getattr(layers, f"Adaptive{kind}Pooling{rank}D")(2),
    )
    for kind in ("Average", "Max")
    for rank in (1, 2, 3)
    if hasattr(layers, "AdaptiveMaxPooling1D")
}


def dense():
    return chain(
        (6,),
        layers.Dense(5, "relu", name="first"),
        layers.Dense(4, "tanh", use_bias=False, name="second"),
        layers.Dense(3, name="last"),
    )


def grouped_convolution():
    return chain(
        (5, 5, 2),
        layers.Conv2D(6, 2, activation="relu"),
        layers.Conv2D(9, 2, groups=3, activation="relu"),
        layers.GroupNormalization(3),
        layers.Flatten(),
        layers.Dense(3),
    )


def group_normalization(groups):
    return chain(
        (5, 5, 2),
        layers.Conv2D(6, 2, activation="relu"),
        layers.GroupNormalization(groups),
        layers.Conv2D(4, 2),
        layers.Flatten(),
        layers.Dense(3),
    )


def dense_over_time():
    return chain((4, 6), layers.Dense(5, "relu"), layers.Dense(3))


def regularized():
    return chain(
        (6,),
        layers.Dense(5, "relu", kernel_regularizer="l2", activity_regularizer="l2"),
        layers.Dense(4, "softplus", bias_regularizer="l1"),
        layers.Dense(3),
    )


def conv_1d():
    return chain(
        (9, 2),
        layers.Conv1D(5, 3, strides=2, activation="relu"),
        layers.Conv1D(4, 2, padding="causal", dilation_rate=2, use_bias=False),
        layers.GlobalMaxPooling1D(),
        layers.Dense(3),
    )


def conv_2d():
    return chain(
        (8, 8, 2),
        layers.Conv2D(5, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(4, (2, 1), dilation_rate=2, use_bias=False),
        layers.Flatten(),
        layers.Dense(3),
    )


def conv_3d():
    return chain(
        (4, 5, 4, 2),
        layers.Conv3D(5, 2, strides=(1, 2, 1), activation="relu"),
        layers.Conv3D(4, (2, 1, 2), padding="same", use_bias=False),
        layers.GlobalAveragePooling3D(),
        layers.Dense(3),
    )


def first(layer_class, *args, **kwargs):
    return layer_class(*args, data_format="channels_first", **kwargs)


def channels_first_1d():
    return chain(
        (2, 8),
        first(layers.Conv1D, 5, 2, activation="relu"),
        first(layers.AveragePooling1D, 2),
        layers.BatchNormalization(axis=1),
        first(layers.Conv1D, 4, 2, use_bias=False),
        first(layers.GlobalAveragePooling1D),
        layers.Dense(3),
    )


# Keras adds a bias along the wrong axis where the last axis is as long as the channels are many, so
# that the images here stay wider than that.
def channels_first_2d():
    return chain(
        (2, 9, 9),
        first(layers.Conv2D, 5, 3, padding="same"),
        layers.BatchNormalization(axis=1),
        layers.PReLU("uniform", shared_axes=[2, 3]),
        first(layers.MaxPooling2D, 2),
        first(layers.ZeroPadding2D, 1),
        first(layers.SpatialDropout2D, 0.0),
        first(layers.Conv2D, 4, 2, activation="relu"),
        first(layers.UpSampling2D, 2),
        first(layers.Cropping2D, 1),
        first(layers.Flatten),
        layers.Dense(3),
    )


def channels_first_3d():
    return chain(
        (2, 7, 7, 7),
        first(layers.Conv3D, 5, 2, activation="relu"),
        first(layers.MaxPooling3D, 2),
        first(layers.ZeroPadding3D, 1),
        first(layers.UpSampling3D, 2),
        first(layers.Cropping3D, 1),
        first(layers.Conv3D, 4, 2, use_bias=False),
        first(layers.GlobalMaxPooling3D),
        layers.Dense(3),
    )


def global_pooling(rank, kind):
    convolution = CONVOLUTIONS[rank](5, 2, activation="relu")
    pool = getattr(layers, f"Global{kind}Pooling{rank}D")()
    return chain((4,) * rank + (2,), convolution, pool, layers.Dense(3))


def reshape_apart():
    return chain(
        (4, 4, 2),
        layers.Conv2D(5, 2, activation="relu", name="conv"),
        layers.Reshape((9, 5)),
        layers.Conv1D(4, 2, name="over_time"),
        layers.Reshape((-1, 2, 4)),
        layers.Flatten(),
        layers.Dense(3, name="last"),
    )


def reshape_mixed():
    return chain(
        (4, 6),
        layers.Dense(6, name="mixed"),
        layers.Reshape((8, 3)),
        layers.Dense(5, "relu", name="free"),
        layers.Flatten(),
        layers.Dense(3, name="last"),
    )


def incremental():
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(4, 3, name="conv")])
    model.add(layers.BatchNormalization())
    model.add(layers.ReLU())
    model.add(layers.Flatten())
    model.add(layers.Dense(5, "relu", name="hidden"))
    model.add(layers.Dense(3, name="last"))
    return model


SMALL = {
    **{name: partial(_between, *entry) for name, entry in LAYERS.items()},
    **{
        f"global_{kind.lower()}_pooling_{rank}d": partial(global_pooling, rank, kind)
        for kind in ("Average", "Max")
        for rank in CONVOLUTIONS
    },
    **{
        build.__name__: build
        for build in (
            channels_first_1d,
            channels_first_2d,
            channels_first_3d,
            conv_1d,
            conv_2d,
            conv_3d,
            dense,
            dense_over_time,
            grouped_convolution,
            incremental,
            regularized,
            reshape_apart,
            reshape_mixed,
        )
    },
    "group_normalization": partial(group_normalization, 2),
    "group_normalization_whole": partial(group_normalization, 1),
    "instance_normalization": partial(group_normalization, -1),
    **BRANCHED,
    **OPERATIONS,
    **SEQUENCES,
}
# Their statistics are taken over the channels, so a channel at zero is not a channel gone.
OVER_CHANNELS = (
    "layer_normalization",
    "layer_normalization_all_axes",
    "layer_normalization_bare",
    "group_normalization_whole",
    "rms_normalization",
    "transformer_block",
    "unit_normalization",
)
# Values that are keys too: what no weight reads of them still counts in the scores.
READ_TWICE = ("attention_of_two",)
# In training, the spectral norm is that of the kernel as it is.
CHANGED_IN_TRAINING = ("spectral_normalization",)


def randomize(model, seed=0):
    """Gives every weight a value of its own, variances positive ones."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        values = random.uniform(-0.6, 0.6, weight.shape)
        weight.assign(np.abs(values) + 0.5 if weight.name == "moving_variance" else values)
    return model


def build(name, seed=0):
    """A small model by name, with random weights; the same layer names every time."""
    keras.utils.clear_session(free_memory=False)
    return randomize(SMALL[name](), seed)


def input_structure(model):
    """The model's symbolic inputs; a Sequential model has one."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def inputs_for(model, size=4, seed=1):
    """Random inputs in the structure that the model takes."""
    random = np.random.default_rng(seed)

    def values(tensor):
        shape = [size, *(length or 5 for length in tensor.shape[1:])]
        return random.normal(size=shape).astype("float32")

    return keras.tree.map_structure(values, input_structure(model))


def is_random(model):
    """Tells whether the model draws random numbers in training."""
    return any(hasattr(layer, "seed_generator") for layer in model.layers)


def arrays(outputs):
    """The tensors of a structure as arrays, in a fixed order."""
    return [keras.ops.convert_to_numpy(tensor) for tensor in keras.tree.flatten(outputs)]
