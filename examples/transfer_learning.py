"""
Title: Transfer learning with a pruned head
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: Keep a pretrained convolutional base frozen, and prune the dense layers on top of it.
Accelerator: None
"""

"""
## Introduction

VGG16 for a few classes of your own: its convolutions stay as they are, two dense layers of 4,096
neurons behind them are trained anew. These two hold most of the parameters, and few classes need
few of them. The thesis that introduced SNARE pruned that head.

Here the same, small enough for a minute on a CPU. The base, two blocks of convolutions in the
manner of VGG, learns the digits 0 to 5. Frozen, it serves a network that tells 6, 7, 8 and 9
apart.
"""

"""
## Setup
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_snare

keras.utils.set_random_seed(0)

short = os.environ.get("KERAS_SNARE_EXAMPLE_SHORT") == "1"  # for tests: as little as will do

eps = 0.02
base_epochs = 4 if short else 15
warmup_epochs = 6 if short else 15
max_trials = 5 if short else None

"""
## Data

Two tasks: six digits to learn features from, and four that the base has never seen.
"""

digits = load_digits()
images = (digits.images[..., np.newaxis] / 16.0).astype("float32")
labels = digits.target
first = labels < 6

x_rest, x_test, y_rest, y_test = train_test_split(
    images[~first], labels[~first] - 6, test_size=0.2, stratify=labels[~first], random_state=0
)
x_train, x_val, y_train, y_val = train_test_split(
    x_rest, y_rest, test_size=0.3, stratify=y_rest, random_state=0
)
print(
    f"{first.sum()} images for the base; {len(x_train)}, {len(x_val)}, {len(x_test)} for the head"
)

"""
## A pretrained base
"""

base = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
    ],
    name="base",
)
pretraining = keras.Sequential([base, layers.Flatten(), layers.Dense(6, activation="softmax")])
pretraining.compile("adam", "sparse_categorical_crossentropy")
pretraining.fit(images[first], labels[first], epochs=base_epochs, verbose=0)

"""
## Transfer

The base is frozen, the head is new.
"""

base.trainable = False
weights_of_base = [np.array(weight) for weight in base.get_weights()]

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        base,
        layers.Flatten(name="flatten"),
        layers.Dense(512, activation="relu", name="hidden1"),
        layers.Dense(512, activation="relu", name="hidden2"),
        layers.Dense(4, activation="softmax", name="class"),
    ],
    name="transfer",
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])


def head_parameters():
    return model.count_params() - base.count_params()


head_before = head_parameters()
print(f"Parameters: {base.count_params():,} in the base, {head_before:,} in the head")

"""
## Training and pruning

`layers` says what may be cut. The base is left alone, so it can serve other heads too.
"""

snare = keras_snare.SnareCallback(
    eps=eps,
    warmup_epochs=warmup_epochs,
    retrain_epochs=3,
    layers=["hidden1", "hidden2"],
    max_trials=max_trials,
    verbose=1,
)
history = model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=200,
    validation_data=(x_val, y_val),
    callbacks=[snare],
    verbose=0,
)

"""
## Results
"""

print(snare.report.summary())
model.summary()

head_after = head_parameters()
best_val_accuracy = max(history.history["val_accuracy"])
val_accuracy = model.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]
test_accuracy = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]

print(f"Parameters of the head: {head_before:,} before, {head_after:,} after")
print(f"Validation accuracy: {best_val_accuracy:.4f} at best, {val_accuracy:.4f} after")
print(f"Test accuracy: {test_accuracy:.4f}")

assert head_after * 4 <= head_before, "the head should shrink to a quarter at most"
assert val_accuracy > best_val_accuracy - eps, "accuracy should stay within eps of the best"
for before, after in zip(weights_of_base, base.get_weights(), strict=True):
    np.testing.assert_array_equal(before, after)

"""
## Conclusion

For VGG16, put `keras.applications.VGG16(include_top=False)` in the place of the base. Its features
never change, so compute them once and train the head alone: then a trial takes seconds.
"""
