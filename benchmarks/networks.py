"""The thesis's three small networks, and Caffe's LeNet-5, parameter by parameter."""

from typing import Literal

import keras
from keras import layers


def lenet_5(activation: str = "relu") -> keras.Model:
    """LeNet-5 for MNIST, 61,706 parameters as in the thesis.

    Args:
        activation: Activation of every hidden layer.

    Returns:
        An uncompiled model from `(28, 28, 1)` to 10 class probabilities.
    """
    return keras.Sequential(
        [
            layers.InputLayer(shape=(28, 28, 1), name="image"),
            layers.Conv2D(6, 5, padding="same", activation=activation, name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(16, 5, padding="valid", activation=activation, name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation=activation, name="dense1"),
            layers.Dense(84, activation=activation, name="dense2"),
            layers.Dense(10, activation="softmax", name="classes"),
        ],
        name="lenet_5",
    )


def lenet_5_caffe() -> keras.Model:
    """LeNet-5 as in Caffe's example, 431,080 parameters, which papers on pruning take for MNIST.

    Returns:
        An uncompiled model from `(28, 28, 1)` to 10 class probabilities, with ReLU after every
        hidden layer.
    """
    return keras.Sequential(
        [
            layers.InputLayer(shape=(28, 28, 1), name="image"),
            layers.Conv2D(20, 5, activation="relu", name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(50, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(500, activation="relu", name="dense1"),
            layers.Dense(10, activation="softmax", name="classes"),
        ],
        name="lenet_5_caffe",
    )


def lenet_300_100(activation: Literal["relu", "tanh"] = "tanh") -> keras.Model:
    """LeNet-300-100 for MNIST, 266,610 parameters.

    The thesis gives 266,200: the same network with the 410 biases left out of the count.

    Args:
        activation: Activation of the two hidden layers; `"tanh"` is the thesis's.

    Returns:
        An uncompiled model from 784 features to 10 class probabilities.
    """
    return keras.Sequential(
        [
            layers.InputLayer(shape=(784,), name="pixels"),
            layers.Dense(300, activation=activation, name="dense1"),
            layers.Dense(100, activation=activation, name="dense2"),
            layers.Dense(10, activation="softmax", name="classes"),
        ],
        name="lenet_300_100",
    )


def uci_custom() -> keras.Model:
    """UCI Custom for the activity windows, 279,086 parameters as in the thesis.

    The thesis gives the layers in a figure and batch normalisation "before every ReLU".
    Convolutions and dense layers make 277,446 parameters, normalising the five convolutions
    1,240 more; the remaining 400 are one normalised dense layer of 100 units. Which of the
    two is not said; here it is the first. Nor is the place of the two poolings: here one
    closes the convolutions of width 5, one those of width 9, so that 8 positions are left.
    An epoch has few steps, so the moving statistics follow with momentum 0.97, not 0.99.

    Returns:
        An uncompiled model from `(128, 3)`, time and axis, to 6 class probabilities.
    """
    return keras.Sequential(
        [
            layers.InputLayer(shape=(128, 3), name="acceleration"),
            *_normalised_conv(6, 5, "1"),
            *_normalised_conv(32, 5, "2"),
            *_normalised_conv(32, 5, "3"),
            layers.MaxPooling1D(4, name="pool1"),
            *_normalised_conv(120, 9, "4"),
            *_normalised_conv(120, 9, "5"),
            layers.MaxPooling1D(4, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(100, name="dense1"),
            layers.BatchNormalization(momentum=0.97, name="dense1_normalization"),
            layers.ReLU(name="dense1_relu"),
            layers.Dense(100, activation="relu", name="dense2"),
            layers.Dense(6, activation="softmax", name="classes"),
        ],
        name="uci_custom",
    )


def _normalised_conv(filters: int, kernel_size: int, number: str) -> list[layers.Layer]:
    name = f"conv{number}"
    return [
        layers.Conv1D(filters, kernel_size, padding="same", name=name),
        layers.BatchNormalization(momentum=0.97, name=f"{name}_normalization"),
        layers.ReLU(name=f"{name}_relu"),
    ]
