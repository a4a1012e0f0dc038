"""
Title: Weights in a DCT basis
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: Dense layers that read pixels, with a few cosine frequencies as their weights.
Accelerator: None
"""

"""
## Introduction

What a neuron sees of an image is an image itself: one weight for each pixel. Neighbouring pixels
say nearly the same, so such a picture is mostly low frequencies. `DCTDense` keeps the coefficients
of a few frequencies as weights and makes the kernel of them.

Three ways to it: build the layer, turn a trained `Dense` layer into it, or have training choose the
frequencies.
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

epochs = 20 if short else 60
side = 16  # pixels
coefficients = 40  # of 256 frequencies

"""
## Data

Digits of 8x8 pixels, enlarged to 16x16, as a scan with more dots would be.
"""

digits = load_digits()
images = keras.ops.image.resize(digits.images[..., np.newaxis] / 16.0, (side, side))
images = np.asarray(images, dtype="float32")[..., 0]
labels = digits.target
x_rest, x_test, y_rest, y_test = train_test_split(
    images, labels, test_size=0.2, stratify=labels, random_state=0
)
x_train, x_val, y_train, y_val = train_test_split(
    x_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=0
)

"""
## Built with it

`input_grid` says where the features lie. The layer keeps the lowest frequencies.
"""


def trained(first, callbacks=None):
    """A network with the given first layer, trained, and its validation accuracy."""
    model = keras.Sequential(
        [
            keras.Input((side, side)),
            layers.Flatten(name="flatten"),
            first,
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(
        x_train,
        y_train,
        batch_size=32,
        epochs=epochs,
        validation_data=(x_val, y_val),
        callbacks=callbacks,
        verbose=0,
    )
    return model, accuracy(model, x_val, y_val)


def accuracy(model, x, y):
    return model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]


dense, dense_accuracy = trained(layers.Dense(128, activation="relu", name="hidden"))
built, built_accuracy = trained(
    keras_snare.layers.DCTDense(
        128, "relu", coefficients=coefficients, input_grid=(side, side), name="hidden"
    )
)

"""
## Made of a trained network

`to_basis` finds the coefficients that come closest to what the trained layer computes on a few
hundred examples, without training. The grid is seen from the `Flatten` layer.
"""

turned = keras_snare.to_basis(dense, coefficients, layers=["hidden"], data=(x_train[:500],))
turned.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
turned_accuracy = accuracy(turned, x_val, y_val)

"""
## Chosen in training

Begin with many frequencies; those with the least energy go, in steps, until 24 are left.
"""

spectral = keras_snare.SpectralPruneCallback(24, begin_epoch=3, frequency=3)
chosen, chosen_accuracy = trained(
    keras_snare.layers.DCTDense(
        128, "relu", coefficients=96, input_grid=(side, side), name="hidden"
    ),
    callbacks=[spectral],
)
print(f"Frequencies (row, column): {[divmod(one, side) for one in spectral.frequencies['hidden']]}")

"""
## Results

The model saves and loads like any other; the file holds the coefficients.
"""

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "digits.keras")
    chosen.save(path)
    loaded = keras.models.load_model(path)

for name, model, val_accuracy in (
    ("Dense", dense, dense_accuracy),
    (f"DCTDense, {coefficients} frequencies", built, built_accuracy),
    (f"made of the trained one, {coefficients}", turned, turned_accuracy),
    ("chosen in training, 24", chosen, chosen_accuracy),
):
    print(f"{name}: {model.count_params():,} parameters, validation accuracy {val_accuracy:.4f}")
print(f"Test accuracy of the last: {accuracy(loaded, x_test, y_test):.4f}")

assert built.count_params() * 5 <= dense.count_params(), "a fifth of the parameters at most"
assert chosen.count_params() * 7 <= dense.count_params(), "a seventh of the parameters at most"
assert built_accuracy > dense_accuracy - 0.02, "low frequencies should say what pixels do"
assert turned_accuracy > dense_accuracy - 0.02, "the trained layer should be low frequencies"
assert chosen_accuracy > dense_accuracy - 0.03, "few frequencies should do"

"""
## Conclusion

This holds where inputs lie on a grid. Between hidden layers, whose units have no order, make the
layer narrower. `DCTConv2D` does the same to filters of 5x5 and more, and `SnareCallback` cuts
frequencies like units.
"""
