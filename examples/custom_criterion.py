"""
Title: Write your own criterion
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: Rank units by a rule of your own, in prune and in SnareCallback.
Accelerator: None
"""

"""
## Introduction

A criterion says which units go first. It is a class with one method that matters: `score` gets a
group of channels and returns a number for each; the lowest are removed. How many go, and when, is
none of its business, so a criterion of yours works in `prune`, `SnareCallback`, `compress` and the
structured callbacks alike, on every layer that the package can cut.

This example writes two, and compares them with removing units at random.
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

epochs = 12 if short else 30
max_trials = 4 if short else None
draws = 3 if short else 10  # of the units that go at random

"""
## Data and model

The validation set decides; the test set is used once, at the very end.
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

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv1"),
        layers.MaxPooling2D(2, name="pool"),
        layers.Flatten(name="flatten"),
        layers.Dense(64, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="digit"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0)

"""
## A criterion on weights

`channels.weights("producer")` gives the kernels that make the channels,
`channels.weights("reader")` those that read them: arrays with a row for each channel, whatever the
layers are. Here a unit counts by the longest of its paths: the largest weight in times the largest
weight out.
"""


class LargestPath(keras_snare.Criterion):
    def score(self, channels):
        largest_in = sum(np.abs(one).max(axis=1) for one in channels.weights("producer"))
        largest_out = sum(np.abs(one).max(axis=1) for one in channels.weights("reader"))
        return largest_in * largest_out


"""
## A criterion on data

With `needs = "activations"`, `statistic` sees what the next layers read, in tensors of shape
(batch, positions, channels), and returns a figure per example and channel. `score` finds its mean
over the data in `channels.statistic`. Here a unit counts by the energy that it hands on: its mean
squared output times the squared weights that read it.
"""


class EnergyHandedOn(keras_snare.Criterion):
    needs = "activations"

    def statistic(self, activations, gradients):
        return keras.ops.mean(keras.ops.square(activations), axis=1)

    def score(self, channels):
        read = sum(np.square(one).sum(axis=1) for one in channels.weights("reader"))
        return channels.statistic * read


"""
## In `prune`

A quarter of the units of each layer goes at once, without retraining.
"""


def accuracy_without_a_quarter(criterion):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    keras_snare.prune(
        copy, 0.25, criterion=criterion, scope="local", data=(x_train[:500], y_train[:500])
    )
    return copy.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]


random_accuracy = np.mean(
    [
        accuracy_without_a_quarter(keras_snare.criteria.RandomCriterion(seed=seed))
        for seed in range(draws)
    ]
)
path_accuracy = accuracy_without_a_quarter(LargestPath())
energy_accuracy = accuracy_without_a_quarter(EnergyHandedOn())
print("Validation accuracy with three quarters of the units, not retrained:")
print(f"at random {random_accuracy:.4f}, {path_accuracy:.4f} by the largest path,")
print(f"{energy_accuracy:.4f} by the energy handed on")

"""
## In `SnareCallback`

Registered, it has a name.
"""

keras_snare.register_criterion("energy_handed_on", EnergyHandedOn)

eps = 0.015
parameters_before = model.count_params()
snare = keras_snare.SnareCallback(
    eps=eps,
    criterion="energy_handed_on",
    scoring_data=(x_train[:500], y_train[:500]),
    retrain_epochs=3,
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
parameters_after = model.count_params()
best_val_accuracy = max(history.history["val_accuracy"])
val_accuracy = model.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]
test_accuracy = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
print(f"Parameters: {parameters_before:,} before, {parameters_after:,} after")
print(f"Validation accuracy: {best_val_accuracy:.4f} at best, {val_accuracy:.4f} after")
print(f"Test accuracy: {test_accuracy:.4f}")

own_accuracy = max(path_accuracy, energy_accuracy)
assert own_accuracy > random_accuracy, "one of the criteria should do better than chance"
assert parameters_after * 3 <= parameters_before, "the network should shrink to a third at most"
assert val_accuracy > best_val_accuracy - eps, "accuracy should stay within eps of the best"

"""
## Conclusion

Some criteria are better than chance without retraining, and no better with it. Compare with
`"random"` in the whole search before you keep one. `needs = "gradients"` shows the derivative of
the loss as well; `CombineCriterion` weighs several. """
