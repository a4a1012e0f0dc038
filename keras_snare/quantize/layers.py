"""What layers become. Here a layer of Keras 3 is added: its class, and the settings that it has."""

from functools import partial

import keras

from keras_snare.layers import FeatureSelection
from keras_snare.quantize.activations import activation
from keras_snare.quantize.parts import Part, function
from keras_snare.quantize.settings import carried
from keras_snare.quantize.stored_call import Tensor
from keras_snare.quantize.table import LAYERS, Parts, row

_WINDOW = "kernel_size strides padding dilation_rate data_format use_bias"
_POOL = "pool_size strides padding data_format"

# Classes of the same name in both, with the settings that tf_keras knows by the same name too.
_SAME = {
    "Add": "",
    "AlphaDropout": "rate noise_shape",
    "Average": "",
    "AveragePooling1D AveragePooling2D AveragePooling3D": _POOL,
    "BatchNormalization": "axis momentum epsilon center scale synchronized",
    "Concatenate": "axis",
    "Conv1D Conv2D Conv3D": f"filters groups {_WINDOW}",
    "Conv1DTranspose Conv2DTranspose Conv3DTranspose": f"filters output_padding {_WINDOW}",
    "Cropping1D": "cropping",
    "Cropping2D Cropping3D": "cropping data_format",
    "Dense": "units use_bias",
    "DepthwiseConv1D DepthwiseConv2D": f"depth_multiplier {_WINDOW}",
    "Dot": "axes normalize",
    "Dropout": "rate noise_shape",
    "ELU": "alpha",
    "EinsumDense": "equation output_shape bias_axes",
    "Embedding": "input_dim output_dim",
    "Flatten": "data_format",
    "GaussianDropout": "rate",
    "GaussianNoise": "stddev",
    "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D": "data_format keepdims",
    "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D": "data_format keepdims",
    "GroupNormalization": "groups axis epsilon center scale",
    "LayerNormalization": "axis epsilon center scale",
    "MaxPooling1D MaxPooling2D MaxPooling3D": _POOL,
    "Maximum": "",
    "Minimum": "",
    "Multiply": "",
    "PReLU": "shared_axes",
    "Permute": "dims",
    "ReLU": "max_value negative_slope threshold",
    "RepeatVector": "n",
    "Rescaling": "scale offset",
    "Reshape": "target_shape",
    "SeparableConv1D": f"filters depth_multiplier {_WINDOW}",
    "Softmax": "axis",
    "SpatialDropout1D": "rate",
    "SpatialDropout2D SpatialDropout3D": "rate data_format",
    "Subtract": "",
    "UnitNormalization": "axis",
    "UpSampling1D": "size",
    "UpSampling2D": "size data_format interpolation",
    "UpSampling3D": "size data_format",
    "ZeroPadding1D": "padding",
    "ZeroPadding2D ZeroPadding3D": "padding data_format",
}


def _same(names: str, layer) -> Parts:
    """The class of the same name, and behind it an activation that it does not have."""
    own, after = {}, ()
    if hasattr(layer, "activation"):
        own["activation"], after = activation(layer)
    config = carried(layer, names) | own
    return (Part(type(layer).__name__, config, tuple(layer.weights)), *after)


LAYERS.update(
    (getattr(keras.layers, kind), partial(_same, names))
    for kinds, names in _SAME.items()
    for kind in kinds.split()
)


@row(keras.layers.Identity)
def _identity(layer) -> Parts:
    return ()


@row(keras.layers.LeakyReLU)
def _leaky_relu(layer) -> Parts:
    return (Part("LeakyReLU", carried(layer, negative_slope="alpha")),)


@row(keras.layers.SeparableConv2D)
def _separable(layer) -> Parts:
    """The two convolutions that it is: TF-MOT would make them itself, under names of its own."""
    named, after = activation(layer)
    settings = carried(layer, f"filters depth_multiplier {_WINDOW}") | {"activation": named}
    bias = settings.pop("use_bias")
    second = ("filters", "activation", "bias_regularizer", "bias_constraint")
    points = {name: settings.pop(name) for name in second if name in settings}
    for kind in ("regularizer", "constraint"):
        if f"pointwise_{kind}" in settings:
            points[f"kernel_{kind}"] = settings.pop(f"pointwise_{kind}")
    points |= {"kernel_size": 1, "use_bias": bias, "trainable": layer.trainable}
    depthwise, *others = layer.weights
    return (
        Part("DepthwiseConv2D", {**settings, "use_bias": False}, (depthwise,), "_depthwise"),
        Part("Conv2D", points, tuple(others)),
        *after,
    )


@row(keras.layers.Normalization)
def _normalization(layer) -> Parts:
    config = carried(layer, "axis invert", mean="mean", variance="variance")
    kept = sorted(axis % len(layer.mean.shape) for axis in layer.axis)
    for name in ("mean", "variance"):
        statistic = keras.ops.convert_to_numpy(getattr(layer, name))
        config[name] = statistic.reshape([statistic.shape[axis] for axis in kept]).tolist()
    return (Part("Normalization", config),)


@row(FeatureSelection)
def _feature_selection(layer) -> Parts:
    carried(layer, "indices")
    return (function("ops.take", [Tensor(0), list(layer.indices)], {"axis": -1}),)
