"""
Title: Ship weights in few bytes
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: Write a trained network into a file a fraction of its size, and read it back exactly.
Accelerator: None
"""

"""
## Introduction

Where a network is sent over a slow line, bytes count, not the time that it computes. `pack` rounds
weights to where errors cost the least and codes them by how likely they are; `unpack` gives the
network back on any machine, the same to the last bit.

`RateCallback` goes further: bytes get a price in the loss, so training looks for weights that take
few. Needs `pip install keras-snare[codec]`.
"""

"""
## Setup
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import tempfile

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_snare

keras.utils.set_random_seed(0)

short = os.environ.get("KERAS_SNARE_EXAMPLE_SHORT") == "1"  # for tests: as little as will do

epochs = 15 if short else 40
rate_epochs = 25 if short else 150
max_loss = 0.005  # accept half a point less validation accuracy

"""
## Data

The validation set decides how finely weights are rounded. The test set is used once, at the end.
"""

digits = load_digits()
images = (digits.images / 16.0).astype("float32")
labels = digits.target
x_rest, x_test, y_rest, y_test = train_test_split(
    images, labels, test_size=0.2, stratify=labels, random_state=0
)
x_train, x_val, y_train, y_val = train_test_split(
    x_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=0
)

"""
## A trained network
"""


def make_model():
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="hidden1"),
            layers.Dense(64, activation="relu", name="hidden2"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )


def accuracy(model, x, y):
    return float(np.mean(model.predict(x, verbose=0).argmax(axis=1) == y))


model = make_model()
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0)
val_accuracy = accuracy(model, x_val, y_val)

"""
## Packed after training

The coarsest rounding is searched that loses `max_loss` at most.
"""

folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "digits.snare")
packed = keras_snare.pack(
    model,
    path,
    max_loss=max_loss,
    data=(x_train, y_train),
    validation_data=(x_val, y_val),
)
print(packed)

"""
`pack` leaves the model as it is. What `unpack` returns holds the rounded weights, and every time
the same ones.
"""

unpacked = keras_snare.unpack(path)
packed_accuracy = accuracy(unpacked, x_val, y_val)
for first, second in zip(
    unpacked.get_weights(), keras_snare.unpack(path).get_weights(), strict=True
):
    np.testing.assert_array_equal(first, second)

"""
## Trained for few bytes

A kilobyte costs as much as 0.1 of loss. The learning rate begins high and falls to zero: weights
have to move by whole steps.
"""

cheap = make_model()
steps = rate_epochs * (len(x_train) // 32 + 1)
cheap.compile(
    keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, steps)),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
cheap_path = os.path.join(folder.name, "cheap.snare")
rate = keras_snare.RateCallback(0.1, path=cheap_path)
cheap.fit(x_train, y_train, batch_size=32, epochs=rate_epochs, callbacks=[rate], verbose=0)
print(rate.report)

"""
The model that `fit` leaves has the rounded weights, and the file gives back exactly these.
"""

received = keras_snare.unpack(cheap_path)
for first, second in zip(cheap.get_weights(), received.get_weights(), strict=True):
    np.testing.assert_array_equal(first, second)

"""
## Results
"""

cheap_accuracy = accuracy(received, x_val, y_val)
test_accuracy = accuracy(received, x_test, y_test)
folder.cleanup()

print(
    f"Bytes: {packed.before:,} in float32, {packed.bytes:,} packed, {rate.report.bytes:,} trained"
)
print(
    f"Validation accuracy: {val_accuracy:.4f} in float32, {packed_accuracy:.4f} packed, "
    f"{cheap_accuracy:.4f} trained for few bytes"
)
print(f"Test accuracy of the smallest file: {test_accuracy:.4f}")

assert packed.bytes * 8 <= packed.before, "packed, an eighth of the bytes at most"
assert packed_accuracy >= val_accuracy - max_loss - 1e-9, "accuracy should stay within max_loss"
assert rate.report.bytes * 20 <= packed.before, "trained for it, a twentieth at most"
assert cheap_accuracy > val_accuracy - 0.03, "few bytes should do"

"""
## Conclusion

`pack` takes seconds and any trained network; `RateCallback` takes a training and gives smaller
files. Shrink first: networks of few units begin with fewer bytes. """
