"""Layers that stand between one that makes channels and one that reads them."""

import keras
import numpy as np

from keras_snare.layers import DCTConv2D, DCTDense, KroneckerDense, LowRankDense

layers = keras.layers

RAMP = np.arange(5.0)
LIST = [0.5, 1.0, 1.5, 2.0, 2.5]


def adapted(layer, shape=(3, 3, 5)):
    """The layer with statistics of random images of five channels."""
    layer.adapt(np.random.default_rng(0).normal(size=(20, *shape)) * (RAMP + 1) + RAMP)
    return layer


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
    "dct_conv_2d": (2, lambda: DCTConv2D(4, 2, coefficients=3, activation="relu")),
    "dct_dense": (0, lambda: DCTDense(4, "relu", coefficients=3)),
    "depthwise_conv_1d": (1, lambda: layers.DepthwiseConv1D(2, activation="relu")),
    "depthwise_conv_2d": (2, lambda: layers.DepthwiseConv2D(2, depth_multiplier=2)),
    "dropout": (0, lambda: layers.Dropout(0.5)),
    "dropout_noise_shape": (1, lambda: layers.Dropout(0.5, noise_shape=(None, 1, 5))),
    "elu": (0, lambda: layers.ELU()),
    "gaussian_dropout": (0, lambda: layers.GaussianDropout(0.5)),
    "gaussian_noise": (0, lambda: layers.GaussianNoise(0.5)),
    "global_average_pooling_3d_kept": (3, lambda: layers.GlobalAveragePooling3D(keepdims=True)),
    "identity": (0, lambda: layers.Identity()),
    "kronecker_dense": (0, lambda: KroneckerDense(4, ((1, 5), (2, 2)), 2)),
    "layer_normalization": (0, lambda: layers.LayerNormalization()),
    "layer_normalization_all_axes": (2, lambda: layers.LayerNormalization(axis=[1, 2, 3])),
    "layer_normalization_bare": (1, lambda: layers.LayerNormalization(scale=False, center=False)),
    "layer_normalization_over_time": (1, lambda: layers.LayerNormalization(axis=1)),
    "leaky_relu": (0, lambda: layers.LeakyReLU()),
    "low_rank_dense": (0, lambda: LowRankDense(4, 2, "relu")),
    "max_pooling_1d": (1, lambda: layers.MaxPooling1D(2)),
    "max_pooling_2d": (2, lambda: layers.MaxPooling2D(2, strides=1)),
    "max_pooling_3d": (3, lambda: layers.MaxPooling3D(2)),
    "normalization_adapted": (2, lambda: adapted(layers.Normalization())),
    "normalization_of_channels": (1, lambda: layers.Normalization(mean=LIST, variance=LIST)),
    "normalization_of_two_axes": (1, lambda: adapted(layers.Normalization((1, 2)), (3, 5))),
    "normalization_inverted": (0, lambda: layers.Normalization(-1, LIST, LIST, invert=True)),
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
