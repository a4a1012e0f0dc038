"""
Title: Search on Ray
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: Make several trials at once, on one machine or many, and find the same network.
Accelerator: None
"""

"""
## Introduction

A search tries cuts one after the other. A rejected trial leaves the network as it was, so the
trials that would follow can be made beside it: `compress(engine="ray", workers=2)` does that on a
Ray cluster, or starts Ray on this machine. Verdicts are taken in the order of the search. So with
a `seed` any number of workers finds the model that one finds.

This example makes the same search twice, in this process and on two workers, and compares. A
network this small is not worth the workers: they pay where a trial takes minutes. Needs `pip
install keras-snare[ray]`.
"""

"""
## Setup

Workers run one thread for each of their processors, here one. With one thread in this process too,
sums are added up in the same order and the results are the same to the last bit.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"

import time

import keras
import numpy as np
import ray
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_snare

keras.utils.set_random_seed(0)

short = os.environ.get("KERAS_SNARE_EXAMPLE_SHORT") == "1"  # for tests: as little as will do

eps = 0.015
epochs = 12 if short else 30
retrain_epochs = 2 if short else 4
max_trials = 3 if short else 12

"""
## Data and model

The validation set decides; the test set is used once, at the very end.
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

model = keras.Sequential(
    [
        keras.Input((8, 8)),
        layers.Flatten(name="flatten"),
        layers.Dense(128, activation="relu", name="hidden1"),
        layers.Dense(64, activation="relu", name="hidden2"),
        layers.Dense(10, activation="softmax", name="digit"),
    ]
)
settings = {
    "optimizer": "adam",
    "loss": "sparse_categorical_crossentropy",
    "metrics": ["accuracy"],
}
model.compile(**settings)
model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0)
accuracy_before = model.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]

"""
## The search, twice

`compress` cuts the model that it is given, so each search gets a copy.
"""


def searched(**engine):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(**settings)
    begin = time.perf_counter()
    found, report = keras_snare.compress(
        copy,
        (x_train, y_train),
        (x_val, y_val),
        eps=eps,
        retrain_epochs=retrain_epochs,
        max_trials=max_trials,
        seed=0,
        verbose=1,
        **engine,
    )
    print(f"{time.perf_counter() - begin:.1f} s")
    return found, report


serial, serial_report = searched()

"""
Of a cluster, `ray.init(address=...)` or `ray_address=` names the head. Here Ray runs on this
machine, with a place for two workers however many processors it has.
"""

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
try:
    parallel, parallel_report = searched(engine="ray", workers=2)
finally:
    ray.shutdown()

"""
## Results
"""

print(parallel_report.summary())
val_accuracy = parallel.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]
test_accuracy = parallel.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
print(f"Parameters: {model.count_params():,} before, {parallel.count_params():,} after")
print(f"Validation accuracy: {accuracy_before:.4f} before, {val_accuracy:.4f} after")
print(f"Test accuracy: {test_accuracy:.4f}")

assert [(row.layer, row.width_after, row.accepted) for row in serial_report.rows] == [
    (row.layer, row.width_after, row.accepted) for row in parallel_report.rows
], "the trials should be those of the search one by one"
for first, second in zip(serial.get_weights(), parallel.get_weights(), strict=True):
    np.testing.assert_array_equal(first, second)
assert parallel.count_params() * 4 <= model.count_params() * 3, "a quarter should go at least"
assert val_accuracy > accuracy_before - eps, "accuracy should stay within eps of what it was"

"""
## Conclusion

What workers save is bounded by how many trials are rejected: accepted ones come one after the
other. Workers may die; their trials are made again. With `directory=` a search that was killed
goes on. """
