"""
Title: Compress a pretrained ResNet-8 for MLPerf Tiny
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: Cut a trained residual network, taught by its uncut self.
Accelerator: None
"""

"""
## Introduction

MLPerf Tiny measures microcontrollers on a ResNet-8: 78,666 parameters, trained on CIFAR-10, and 85
% accuracy to reach. It is given trained. This example cuts a trained network further, and has a
copy of the network as it was teach the one that it becomes.

What a residual network adds up must have the same width on every path. `channel_groups` finds out
which layers that ties together; they are cut as one.

With `KERAS_SNARE_DATA` set to a folder that holds `models/pretrainedResnet.h5` of MLPerf Tiny and
`cifar10_subset.npz` (arrays `x_train`, `y_train`, `x_test`, `y_test`), the example uses these and
takes about ten minutes on one core of a CPU. Without, and in the short mode that tests use, it
trains a ResNet-8 of its own on the digits of scikit-learn, enlarged to 16x16, and cuts that. It
prints which it used.
"""

"""
## Setup
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
# Where a shortcut of stride 2 reads fewer than 16 channels, TensorFlow's oneDNN may crash in
# training (https://github.com/uxlfoundation/oneDNN/issues/6035).
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import keras_snare

keras.utils.set_random_seed(0)

short = os.environ.get("KERAS_SNARE_EXAMPLE_SHORT") == "1"  # for tests: as little as will do
folder = os.environ.get("KERAS_SNARE_DATA")
given = not short and folder is not None

eps = 0.06 if given else 0.02  # accepted loss during the search
retrain_epochs = 2
max_trials = 3 if short else 6
tuning_epochs = 2 if short else 12

"""
## Data and network
"""


def given_network(folder):
    """MLPerf Tiny's network and a part of CIFAR-10: pixels from 0 to 255."""
    model = keras.models.load_model(folder / "models" / "pretrainedResnet.h5", compile=False)
    with np.load(folder / "cifar10_subset.npz", allow_pickle=False) as arrays:
        x, y = arrays["x_train"].astype("float32"), arrays["y_train"]
        test = arrays["x_test"].astype("float32"), arrays["y_test"]
    return model, (x[:10_000], y[:10_000]), (x[10_000:12_500], y[10_000:12_500]), test


def residual_block(x, filters, stride):
    """Two convolutions, and a path around them."""
    shortcut = x
    x = layers.Conv2D(filters, 3, strides=stride, padding="same")(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Conv2D(filters, 3, padding="same")(x)
    x = layers.BatchNormalization(momentum=0.8)(x)
    if stride > 1:
        shortcut = layers.Conv2D(filters, 1, strides=stride, padding="same")(shortcut)
    return layers.Activation("relu")(layers.Add()([x, shortcut]))


def own_network():
    """A ResNet-8 as MLPerf Tiny builds it, on digits, trained here."""
    digits = load_digits()
    images = np.repeat(np.repeat(digits.images[..., np.newaxis] / 16.0, 2, axis=1), 2, axis=2)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order].astype("float32"), digits.target[order]
    train, validation, test = zip(
        np.split(images, [1077, 1437]), np.split(labels, [1077, 1437]), strict=True
    )

    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.8)(x))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        x = residual_block(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="resnet8")

    epochs = 6 if short else 20
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * (len(train[0]) // 32 + 1))
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(*train, batch_size=32, epochs=epochs, validation_data=validation, verbose=0)
    return model, train, validation, test


model, train, validation, test = given_network(Path(folder)) if given else own_network()
print("MLPerf Tiny's ResNet-8 on CIFAR-10" if given else "A ResNet-8 of our own on digits")
parameters_before = model.count_params()

"""
## What is cut together

Each line is a group of channels: within a block free, on the path around the blocks tied.
"""

print(keras_snare.channel_groups(model))

"""
## Compression

The search goes on at one constant learning rate. MLPerf Tiny's network was trained to the end of
a falling one: at a constant rate it loses some points, with or without a cut, and gets them back
when the rate falls again. `eps` allows for that.
"""

uncut = keras.models.clone_model(model)
uncut.set_weights(model.get_weights())
teacher = keras_snare.DistillationCallback(uncut, temperature=4.0)

model.compile(
    keras.optimizers.Adam(3e-4 if given else 5e-4),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
accuracy_before = model.evaluate(*validation, verbose=0, return_dict=True)["accuracy"]

snare = keras_snare.SnareCallback(
    eps=eps,
    retrain_epochs=retrain_epochs,
    max_trials=max_trials,
    first_step=0.4,
    compensate="least_squares",
    scoring_data=(train[0][:500], train[1][:500]),
    verbose=1,
)
model.fit(
    *train,
    batch_size=32,
    epochs=100,
    validation_data=validation,
    callbacks=[snare, teacher],
    verbose=0,
)

"""
## Fine-tuning

A second `fit`, with the same teacher and a learning rate that falls to nothing.
"""

steps = tuning_epochs * -(-len(train[0]) // 32)
model.compile(
    keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(
    *train,
    batch_size=32,
    epochs=tuning_epochs,
    validation_data=validation,
    callbacks=[teacher],
    verbose=0,
)

"""
## Results
"""

print(snare.report.summary())
print(keras_snare.cost(model))

parameters_after = model.count_params()
val_accuracy = model.evaluate(*validation, verbose=0, return_dict=True)["accuracy"]
test_accuracy = model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]

print(f"Parameters: {parameters_before:,} before, {parameters_after:,} after")
print(f"Validation accuracy: {accuracy_before:.4f} before, {val_accuracy:.4f} after")
print(f"Test accuracy: {test_accuracy:.4f}")

assert accuracy_before > 0.85, "the network to begin with should be a trained one"
assert parameters_after * 1.3 <= parameters_before, "the network should shrink"
assert val_accuracy > accuracy_before - eps, "accuracy should stay within eps of what it was"

"""
## Conclusion

A network that was designed small gives less than one that was not: on CIFAR-10, 78,666 parameters
became 56,941. Another network, other steps and more epochs give more; `benchmarks/resnet8.py` goes
from 25.3 to 15.0 million FLOPs.
"""
