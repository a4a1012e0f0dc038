"""
Title: Compress a digit classifier while it trains
Author: The keras_snare developers
Date created: 2026/11/22
Last modified: 2026/11/24
Description: Train a small convolutional network and let SnareCallback shrink it in the same fit.
Accelerator: None
"""

"""
## Introduction

A network is usually wider than its task needs. SNARE finds out how much wider: it removes the
least important units of one layer, trains on for a few epochs and keeps the smaller network if
validation accuracy is back within `eps` of the best seen. Otherwise it undoes the cut and later
tries a smaller one. You choose the loss of accuracy that you accept; how small the network gets is
the result.

`SnareCallback` does this inside `model.fit`, on the model object that you already hold. Nothing is
masked or wrapped: the layers really have fewer units afterwards.

This example takes about a minute on a laptop's CPU. The data come with scikit-learn.
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

eps = 0.01  # accept one point less validation accuracy than the best seen
warmup_epochs = 20
retrain_epochs = 4
max_epochs = 50 if short else 200

"""
## Data

1,797 handwritten digits of 8x8 pixels, split three ways. The validation set decides which cuts are
kept, so its accuracy is a little flattering in the end. The test set is used once, at the very end.
"""

digits = load_digits()
images = (digits.images[..., np.newaxis] / 16.0).astype("float32")
labels = digits.target

x_rest, x_test, y_rest, y_test = train_test_split(
    images, labels, test_size=0.2, stratify=labels, random_state=0
)
x_train, x_val, y_train, y_val = train_test_split(
    x_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=0
)
print(f"{len(x_train)} training, {len(x_val)} validation and {len(x_test)} test images")

"""
## Model

An ordinary Keras model, compiled as always.
"""

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1"),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
        layers.MaxPooling2D(2, name="pool"),
        layers.Flatten(name="flatten"),
        layers.Dense(64, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="digit"),
    ],
    name="digits",
)
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=2e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.summary()
parameters_before = model.count_params()

"""
## Training and compression in one fit

The first `warmup_epochs` are plain training. Then come the trials, each of at most `retrain_epochs`
epochs; the callback prints one line for each. Ask for more epochs than you expect to need: `fit`
stops when no cut is left to try.
"""

snare = keras_snare.SnareCallback(
    eps=eps, warmup_epochs=warmup_epochs, retrain_epochs=retrain_epochs, verbose=1
)
history = model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=max_epochs,
    validation_data=(x_val, y_val),
    callbacks=[snare],
    verbose=0,
)

"""
## Results

The report has a row for every trial.
"""

print(snare.report.summary())

"""
`model` is still the same object, with fewer filters and units.
"""

model.summary()
print(keras_snare.cost(model))

"""
It saves like any Keras model, and loads where `keras_snare` is not installed. The loaded model
computes the same.
"""

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "digits.keras")
    model.save(path)
    reloaded = keras.models.load_model(path)
np.testing.assert_allclose(
    reloaded.predict(x_val, verbose=0), model.predict(x_val, verbose=0), rtol=0, atol=1e-6
)

"""
Now the test set, once.
"""

parameters_after = model.count_params()
best_val_accuracy = max(history.history["val_accuracy"])
val_accuracy = model.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]
test_accuracy = reloaded.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]

print(f"Parameters: {parameters_before:,} before, {parameters_after:,} after")
print(f"Validation accuracy: {best_val_accuracy:.4f} at best, {val_accuracy:.4f} after")
print(f"Test accuracy: {test_accuracy:.4f}")

assert parameters_after * 4 <= parameters_before, "the network should shrink to a quarter at most"
assert val_accuracy > best_val_accuracy - eps, "accuracy should stay within eps of the best"

"""
## Conclusion

One callback in `fit`, one number to choose. Try another `eps`, or train longer before the first
cut: a network that has not converged sets a low mark for `eps`. On real hardware, `round_to=8`
keeps widths at multiples that run fast.
"""
