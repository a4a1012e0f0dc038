"""
Title: Compress LeNet-300-100 on MNIST while it trains
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: SnareCallback finds out how many of a dense network's neurons MNIST needs.
Accelerator: None
"""

"""
## Introduction

LeNet-300-100 is the network that papers on pruning begin with: two hidden layers of 300 and 100
neurons, 266,610 parameters, 28x28 pixels. It has neurons to spare. `SnareCallback` removes them
while the network trains, and keeps what is removed only where validation accuracy stays within
`eps` of the best seen.

Keras downloads MNIST on first use, and the example takes a minute or two on a CPU. The short mode
that tests use needs no network: it takes the 8x8 digits of scikit-learn, enlarged to 28x28. Its
figures say nothing about MNIST.
"""

"""
## Setup
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from keras import layers

import keras_snare

keras.utils.set_random_seed(0)

short = os.environ.get("KERAS_SNARE_EXAMPLE_SHORT") == "1"  # for tests: as little as will do

eps = 0.01 if short else 0.003
warmup_epochs = 15 if short else 8
retrain_epochs = 3
max_trials = 6 if short else 16
batch_size = 32 if short else 128

"""
## Data

The validation set decides which cuts are kept: of MNIST, the last 10,000 training images. The test
set is used once, at the very end.
"""

if short:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = keras.ops.image.resize(digits.images[..., np.newaxis] / 16.0, (28, 28))
    images = np.asarray(images, dtype="float32")[..., 0]
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], digits.target[order]
    x_train, x_val, x_test = np.split(images, [1077, 1437])
    y_train, y_val, y_test = np.split(labels, [1077, 1437])
    print("Short mode: scikit-learn's digits, enlarged, in the place of MNIST")
else:
    (images, labels), (x_test, y_test) = keras.datasets.mnist.load_data()
    images, x_test = images.astype("float32") / 255.0, x_test.astype("float32") / 255.0
    x_train, x_val = images[:50_000], images[50_000:]
    y_train, y_val = labels[:50_000], labels[50_000:]
print(f"{len(x_train)} training, {len(x_val)} validation and {len(x_test)} test images")

"""
## Model
"""

model = keras.Sequential(
    [
        keras.Input((28, 28)),
        layers.Flatten(),
        layers.Dense(300, activation="relu", name="hidden1"),
        layers.Dense(100, activation="relu", name="hidden2"),
        layers.Dense(10, activation="softmax", name="digit"),
    ],
    name="lenet_300_100",
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
parameters_before = model.count_params()

"""
## Training and compression in one fit

`max_trials` bounds the time. Without it the search goes on until no cut is left to try, and finds
smaller networks.
"""

snare = keras_snare.SnareCallback(
    eps=eps,
    warmup_epochs=warmup_epochs,
    retrain_epochs=retrain_epochs,
    max_trials=max_trials,
    verbose=1,
)
history = model.fit(
    x_train,
    y_train,
    batch_size=batch_size,
    epochs=200,
    validation_data=(x_val, y_val),
    callbacks=[snare],
    verbose=0,
)

"""
## Results

A row for each trial, and the networks on the way: each smaller one with what it costs.
"""

print(snare.report.summary())

parameters_after = model.count_params()
best_val_accuracy = max(history.history["val_accuracy"])
val_accuracy = model.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]
test_accuracy = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]

print(f"Parameters: {parameters_before:,} before, {parameters_after:,} after")
print(f"Validation accuracy: {best_val_accuracy:.4f} at best, {val_accuracy:.4f} after")
print(f"Test accuracy: {test_accuracy:.4f}")

shrunk = 1.5 if short else 4
assert parameters_after * shrunk <= parameters_before, "the network should shrink"
assert val_accuracy > best_val_accuracy - eps, "accuracy should stay within eps of the best"

"""
## Conclusion

The first layer shrinks most: each of its neurons reads 784 pixels. `prune_inputs=True` drops pixels
as well, such as those at the border that are always black.
"""
