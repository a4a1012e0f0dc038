"""
Title: Shrink, quantize and deploy
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: From a Keras model to a .tflite file of a narrow network that computes with integers.
Accelerator: None
"""

"""
## Introduction

Microcontrollers compute with 8-bit integers. Two things make a network fit: fewer units, and
numbers of fewer bits. Both are trained here, in one `fit`: `SnareCallback` finds the narrow
network, then `QuantizeAwareCallback` trains its last epochs for integers and writes the file.

The file is then run as a device would run it, by the LiteRT interpreter, on the whole test set.
"""

"""
## Setup
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import tempfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_snare

keras.utils.set_random_seed(0)

short = os.environ.get("KERAS_SNARE_EXAMPLE_SHORT") == "1"  # for tests: as little as will do

eps = 0.015
warmup_epochs = 10 if short else 20
search_epochs = 16 if short else 60  # with the warm-up
quantized_epochs = 4 if short else 10

"""
## Data

The validation set decides what is cut. The test set is used once, at the very end.
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

"""
## Model
"""

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv1"),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
        layers.MaxPooling2D(2, name="pool"),
        layers.Flatten(name="flatten"),
        layers.Dense(64, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="digit"),
    ],
    name="digits",
)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
parameters_before = model.count_params()

"""
For comparison, the file that the network as it is would take, in float32.
"""

folder = tempfile.TemporaryDirectory()
bytes_before = keras_snare.to_litert(model, os.path.join(folder.name, "before.tflite")).bytes

"""
## One fit

`stop_when_done=False` lets `fit` go on when the search has ended. The quantized epochs end it.
"""

path = os.path.join(folder.name, "digits.tflite")
snare = keras_snare.SnareCallback(
    eps=eps, warmup_epochs=warmup_epochs, retrain_epochs=3, stop_when_done=False, verbose=1
)
quantize = keras_snare.QuantizeAwareCallback(
    start_epoch=search_epochs, path=path, input_type="int8", output_type="int8"
)
history = model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=search_epochs + quantized_epochs,
    validation_data=(x_val, y_val),
    callbacks=[snare, quantize],
    verbose=0,
)
print(snare.report.summary())

"""
## The file on a device

Inputs and outputs are integers too; the file says by which scale and zero point.
"""


def run(path, x):
    """What the file answers, one example at a time."""
    interpreter = tf.lite.Interpreter(model_path=path)
    interpreter.allocate_tensors()
    (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = inputs["quantization"]
    answers = []
    for example in np.clip(np.round(x / scale + zero_point), -128, 127).astype("int8"):
        interpreter.set_tensor(inputs["index"], example[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(outputs["index"])[0])
    return np.array(answers)


"""
## Results
"""

bytes_after = os.path.getsize(path)
parameters_after = model.count_params()
float_accuracy = model.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]
val_accuracy = float(np.mean(run(path, x_val).argmax(axis=1) == y_val))
test_accuracy = float(np.mean(run(path, x_test).argmax(axis=1) == y_test))
folder.cleanup()

print(f"Parameters: {parameters_before:,} before, {parameters_after:,} after")
print(f"Bytes: {bytes_before:,} of the file before, {bytes_after:,} after")
print(f"Validation accuracy: {float_accuracy:.4f} in float, {val_accuracy:.4f} of the file")
print(f"Test accuracy of the file: {test_accuracy:.4f}")

assert bytes_after * 6 <= bytes_before, "the file should take a sixth of the bytes at most"
assert val_accuracy > float_accuracy - 0.02, "integers should compute what floats do"
assert val_accuracy > max(history.history["val_accuracy"]) - eps - 0.02

"""
## Conclusion

Of a file this small, much is not weights but the description of the network. What TF-MOT refuses,
such as Conv1D or LayerNormalization, `engine="keras"` quantizes. Without training, `to_litert`
writes a file of any model. """
