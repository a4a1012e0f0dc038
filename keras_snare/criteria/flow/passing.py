"""What hands its input on: activations, normalisations but for their scale, look-up tables."""

from typing import Any

import keras

from keras_snare.criteria.flow.table import carries_flow, function, layer, value_of

layers = keras.layers


@layer(
    layers.ELU,
    layers.LeakyReLU,
    layers.Normalization,
    layers.PReLU,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
    layers.UnitNormalization,
)
@function(
    *"""cast cbrt celu clip elu erf exp exp2 expm1 gelu hard_shrink hard_sigmoid hard_silu hard_tanh
    leaky_relu log log10 log1p log2 log_sigmoid log_softmax mish negative relu relu6 selu sigmoid
    silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax sqrt square
    squareplus tanh tanh_shrink threshold""".split()
)
def passed_on(operation, call, *args: Any, **kwargs: Any):
    given = args[0] if args else next(iter(kwargs.values()))
    return given if carries_flow(given) else call(*args, **kwargs)


@layer(layers.BatchNormalization)
def batch_normalization(normalization, call, inputs, *args: Any, **kwargs: Any):
    """In inference it multiplies every channel by a number."""
    scale = keras.ops.rsqrt(value_of(normalization.moving_variance) + normalization.epsilon)
    if normalization.scale:
        scale = scale * value_of(normalization.gamma)
    return inputs * _along(scale, normalization.axis, inputs)


@layer(layers.GroupNormalization)
def group_normalization(normalization, call, inputs, *args: Any, **kwargs: Any):
    if normalization.gamma is None:
        return inputs
    return inputs * _along(value_of(normalization.gamma), normalization.axis, inputs)


@layer(layers.LayerNormalization)
def layer_normalization(normalization, call, inputs, *args: Any, **kwargs: Any):
    if normalization.gamma is None:
        return inputs
    return inputs * _along(value_of(normalization.gamma), normalization.axis, inputs)


@layer(layers.RMSNormalization)
def rms_normalization(normalization, call, inputs, *args: Any, **kwargs: Any):
    return inputs * _along(value_of(normalization.scale), normalization.axis, inputs)


def _along(scale, axes, inputs):
    """A scale with its axes where those of the inputs are."""
    shape = [1] * len(inputs.shape)
    for axis, size in zip([axes] if isinstance(axes, int) else axes, scale.shape, strict=True):
        shape[axis] = size
    return keras.ops.reshape(scale, shape)


@layer(layers.Embedding)
def embedding(table, call, inputs, *args: Any, **kwargs: Any):
    """Every row is read at every position, as all of them are inputs."""
    if kwargs.get("reverse", False) or any(one is True for one in args):
        return call(inputs, *args, **kwargs)
    row = keras.ops.sum(value_of(table.embeddings), axis=0)
    return keras.ops.broadcast_to(row, (*inputs.shape, *row.shape))
