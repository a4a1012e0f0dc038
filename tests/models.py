"""Small models for the tests: every layer that has a rule stands in at least one of them."""

from functools import partial

import keras
import numpy as np
from branched_models import BRANCHED
from layer_models import LAYERS
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
    """Gives every weight a value of its own, variances positive ones; statistics of data stay."""
    random = np.random.default_rng(seed)
    adapted = [one for one in model.layers if isinstance(one, layers.Normalization)]
    statistics = {id(weight) for layer in adapted for weight in layer.weights}
    for weight in model.weights:
        if id(weight) in statistics:
            continue
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
