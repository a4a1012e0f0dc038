"""
Title: Lottery tickets
Author: The keras_snare developers
Date created: 2026/11/24
Last modified: 2026/11/24
Description: Find a sparse network that trains as well as the whole one, and train it elsewhere.
Accelerator: None
"""

"""
## Introduction

Train a network, remove its smallest connections, set the others back to the values that they began
with, and repeat. What is left after some rounds is a "winning ticket" (Frankle and Carbin, 2019): a
sparse network that reaches the accuracy of the whole one when it is trained from the start.

`LotteryTicketCallback` does the rounds in one `fit`. Each round's ticket can be saved, and trained
in another program.
"""

"""
## Setup
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import tempfile

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_snare

keras.utils.set_random_seed(0)

short = os.environ.get("KERAS_SNARE_EXAMPLE_SHORT") == "1"  # for tests: as little as will do

rounds = 3 if short else 8
fraction = 0.4 if short else 0.25
epochs_per_round = 12 if short else 25

"""
## Data

The validation set shows how good a ticket is. The test set is used once, at the very end.
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
## Model
"""


def make_model():
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.Flatten(),
            layers.Dense(150, activation="relu", name="hidden1"),
            layers.Dense(50, activation="relu", name="hidden2"),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


model = make_model()

"""
## Rounds of training and pruning

`rounds + 1` trainings share the epochs of `fit`: the first one is of the whole network.
"""

lottery = keras_snare.LotteryTicketCallback(
    rounds=rounds, fraction=fraction, monitor="val_accuracy"
)
model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=(rounds + 1) * epochs_per_round,
    validation_data=(x_val, y_val),
    callbacks=[lottery],
    verbose=0,
)
print(lottery.report.summary())

"""
## A ticket, trained elsewhere

The file holds the masks and the values that the network began with. Another model of the same form
takes them; `HoldMasksCallback` keeps the zeros in training.
"""

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "ticket.npz")
    lottery.tickets[-1].save(path)
    ticket = keras_snare.Ticket.load(path)

keras.utils.set_random_seed(1)
other = make_model()
ticket.apply(other)
other.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=epochs_per_round,
    callbacks=[keras_snare.HoldMasksCallback(ticket.masks)],
    verbose=0,
)

"""
For comparison: as many connections in the same layers, but drawn at random.
"""

keras.utils.set_random_seed(1)
drawn = make_model()
shuffled = lottery.tickets[0].with_masks(ticket.masks.shuffled(seed=0))
shuffled.apply(drawn)
drawn.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=epochs_per_round,
    callbacks=[keras_snare.HoldMasksCallback(shuffled.masks)],
    verbose=0,
)

"""
## Results
"""

dense = lottery.report.rows[0].final
sparsity = lottery.report.rows[-1].sparsity
ticket_accuracy = other.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]
drawn_accuracy = drawn.evaluate(x_val, y_val, verbose=0, return_dict=True)["accuracy"]
test_accuracy = other.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
kernels = [layer.kernel.numpy() for layer in other.layers if hasattr(layer, "kernel")]
kept = sum(int((kernel != 0).sum()) for kernel in kernels)
connections = sum(kernel.size for kernel in kernels)

print(f"Connections: {connections:,} in all, {kept:,} in the ticket")
print(f"Validation accuracy: {dense:.4f} whole, {ticket_accuracy:.4f} ticket, trained elsewhere")
print(f"Validation accuracy of connections drawn at random: {drawn_accuracy:.4f}")
print(f"Test accuracy of the ticket: {test_accuracy:.4f}")

assert kept <= (1 - sparsity) * connections + 1, "the zeros should stay zeros"
assert kept * 4 <= connections, "the ticket should hold a quarter of the connections at most"
assert ticket_accuracy > dense - 0.03, "the ticket should be as good as the whole network"

"""
## Conclusion

Zeros make a file that compresses well, and nothing faster by themselves. Deep networks need
`rewind_to=1`: the state after a little training, in the place of the very first values.
"""
