"""Networks from the literature, untrained: for costs that can be looked up."""

import keras

layers = keras.layers


def lenet5():
    """LeCun et al. 1998, as the frameworks' tutorials build it."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, "relu"),
            layers.Dense(84, "relu"),
            layers.Dense(10, "softmax"),
        ]
    )


def vgg16():
    """Simonyan and Zisserman 2014, on small images."""
    return keras.applications.VGG16(weights=None, input_shape=(64, 64, 3), classes=10)


def _conv(tensor, filters, size=3, strides=1):
    return layers.Conv2D(filters, size, strides, padding="same", kernel_initializer="he_normal")(
        tensor
    )


def _residual_stack(tensor, filters, strides):
    inner = layers.BatchNormalization()(_conv(tensor, filters, strides=strides))
    inner = _conv(layers.Activation("relu")(inner), filters)
    inner = layers.BatchNormalization()(inner)
    if strides > 1:
        tensor = _conv(tensor, filters, size=1, strides=strides)
    return layers.Activation("relu")(layers.Add()([tensor, inner]))


def resnet8():
    """The image classifier of the MLPerf Tiny benchmark (Banbury et al. 2021)."""
    inputs = keras.Input((32, 32, 3))
    tensor = layers.BatchNormalization()(_conv(inputs, 16))
    tensor = layers.Activation("relu")(tensor)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        tensor = _residual_stack(tensor, filters, strides)
    tensor = layers.Flatten()(layers.AveragePooling2D(8)(tensor))
    return keras.Model(inputs, layers.Dense(10, "softmax")(tensor))
