"""Settings of layers, one by one: what tf_keras is told is what Keras 3 was."""

import keras
import models
import numpy as np
import pytest
from bridging import assert_same

from keras_snare.quantize import to_tf_keras

layers = keras.layers
RANKS = {1: (9, 4), 2: (8, 9, 4), 3: (6, 7, 5, 4)}

CASES = {
    "causal": (1, lambda: layers.Conv1D(3, 3, padding="causal", dilation_rate=2)),
    "strides": (2, lambda: layers.Conv2D(3, (3, 2), strides=(2, 1), padding="same")),
    "dilation": (2, lambda: layers.Conv2D(3, 2, dilation_rate=(2, 3), use_bias=False)),
    "conv_3d": (3, lambda: layers.Conv3D(3, (2, 3, 1), strides=(1, 2, 1), padding="same")),
    "depthwise_strides": (2, lambda: layers.DepthwiseConv2D(3, 2, "same", activation="relu6")),
    "depthwise_dilation": (2, lambda: layers.DepthwiseConv2D(2, dilation_rate=2, use_bias=False)),
    "depthwise_1d": (1, lambda: layers.DepthwiseConv1D(3, 2, "same", depth_multiplier=2)),
    "separable_strides": (
        2,
        lambda: layers.SeparableConv2D(5, 3, 2, "same", depth_multiplier=2, activation="silu"),
    ),
    "separable_dilation": (
        2,
        lambda: layers.SeparableConv2D(5, 2, dilation_rate=2, use_bias=False),
    ),
    "separable_1d": (1, lambda: layers.SeparableConv1D(5, 3, 2, "same", activation="leaky_relu")),
    "transposed_1d": (1, lambda: layers.Conv1DTranspose(3, 3, 2, "same")),
    "transposed_odd": (2, lambda: layers.Conv2DTranspose(3, (3, 2), 3, "valid")),
    "transposed_same": (2, lambda: layers.Conv2DTranspose(3, 2, (3, 2), "same", activation="elu")),
    "transposed_padded": (2, lambda: layers.Conv2DTranspose(3, 3, 2, "same", output_padding=1)),
    "transposed_dilation": (2, lambda: layers.Conv2DTranspose(3, 3, dilation_rate=2)),
    "transposed_3d": (3, lambda: layers.Conv3DTranspose(2, 2, 2, "same")),
    **{
        f"resized_{way}": (2, lambda way=way: layers.UpSampling2D((2, 3), interpolation=way))
        for way in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
    },
    "pooled": (2, lambda: layers.MaxPooling2D((3, 2), (2, 3), "same")),
    "averaged": (2, lambda: layers.AveragePooling2D(3, 2, "same")),
    "padded": (2, lambda: layers.ZeroPadding2D(((1, 2), (0, 3)))),
    "cropped": (3, lambda: layers.Cropping3D(((1, 2), (0, 3), (1, 1)))),
    "kept": (1, lambda: layers.GlobalMaxPooling1D(keepdims=True)),
    "relu": (1, lambda: layers.ReLU(max_value=0.8, negative_slope=0.2, threshold=0.3)),
    "relu_slope": (1, lambda: layers.ReLU(negative_slope=0.2)),
    "relu_threshold": (1, lambda: layers.ReLU(threshold=0.4)),
    "leaky_relu": (1, lambda: layers.LeakyReLU(negative_slope=0.05)),
    "elu": (1, lambda: layers.ELU(0.7)),
    "softmax": (2, lambda: layers.Softmax(axis=(1, 2))),
    "norm_second_axis": (2, lambda: layers.BatchNormalization(1, momentum=0.7, epsilon=1e-5)),
    "norm_tiny_epsilon": (2, lambda: layers.BatchNormalization(epsilon=1e-9)),
    "norm_5d": (3, lambda: layers.BatchNormalization(scale=False)),
    "layer_norm": (2, lambda: layers.LayerNormalization((1, 3), epsilon=1e-6)),
    "group_norm": (2, lambda: layers.GroupNormalization(2, epsilon=1e-6)),
    "rescaled": (2, lambda: layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=-0.5)),
    "reshaped": (2, lambda: layers.Reshape((-1, 6))),
    "permuted": (2, lambda: layers.Permute((3, 1, 2))),
    "activation_layer": (1, lambda: layers.Dense(3, activation=layers.ReLU(0.5))),
    "named_relu": (1, lambda: layers.Dense(3, activation=keras.ops.relu)),
    "maxnorm": (
        1,
        lambda: layers.Dense(
            3, kernel_constraint=keras.constraints.MaxNorm(1.5), bias_constraint="non_neg"
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layer_with_settings(name):
    rank, make = CASES[name]
    model = models.randomize(models.chain(RANKS[rank], make()))
    assert_same(model)


def test_losses_of_weights_are_the_same():
    regularizers = keras.regularizers
    model = models.chain(
        (6, 6, 2),
        layers.SeparableConv2D(
            3, 2, depthwise_regularizer="l2", pointwise_regularizer=regularizers.L1L2(0.1, 0.2)
        ),
        layers.BatchNormalization(beta_regularizer="l1"),
        layers.Dense(2, kernel_regularizer=regularizers.OrthogonalRegularizer(0.3)),
    )
    twin = to_tf_keras(models.randomize(model))
    assert len(twin.model.losses) == len(model.losses) == 4
    found, expected = sum(map(float, twin.model.losses)), sum(map(float, model.losses))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_dropout_drops_in_training_only():
    ways = (layers.Dropout(0.5), layers.SpatialDropout1D(0.5), layers.GaussianDropout(0.5))
    for way in (*ways, layers.GaussianNoise(0.5), layers.AlphaDropout(0.5)):
        model = models.chain((40, 5), way)
        ones = np.ones((3, 40, 5), "float32")
        twin = to_tf_keras(model).model
        assert np.array_equal(twin(ones), ones)
        assert not np.array_equal(twin(ones, training=True), ones)
