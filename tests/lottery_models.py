"""A tiny network for lottery tickets, short fits, and a callback that watches the rounds."""

import keras
import numpy as np
from keras import layers
from training import compiled, state_of

from keras_snare.surgery.optimizers import slots

STEPS = 2


def data(seed: int = 0):
    """Random inputs and labels for `STEPS` steps of eight."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(8 * STEPS, 4)).astype("float32")
    return x, generator.integers(0, 3, 8 * STEPS).astype("int32")


def network(optimizer="adam", **options):
    """Two dense layers with a normalisation between, and the output."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Dense(5, activation="relu", name="second"),
            layers.Dense(3, name="logits"),
            layers.Softmax(name="softmax"),
        ]
    )
    return compiled(model, optimizer, **{"run_eagerly": True, **options})


def train(model, callbacks, epochs, **options):
    """Trains on the same batches in the same order every epoch."""
    options = {"batch_size": 8, "shuffle": False, **options}
    return model.fit(*data(), epochs=epochs, verbose=0, callbacks=callbacks, **options)


class Watch(keras.callbacks.Callback):
    """Copies the state of model and optimizer at both ends of every epoch, and after every step."""

    def on_train_begin(self, logs=None):
        self.begun, self.ended, self.steps, self.logs = [], [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(state_of(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(state_of(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.ended.append(state_of(self.model))
        self.logs.append(dict(logs))


def masked(state, model, masks, first: int = 0):
    """A state with zeros where masks prune, in weights and in the optimizer's slots alike.

    Args:
        state: from `state_of`.
        model: whose state it is.
        masks: what is pruned.
        first: int, place from which on it is masked.
    """
    by_id = {id(one.variable): masks[one.name] for one in masks.kernels(model)}
    keeps = {id(weight): by_id.get(id(weight)) for weight in model.weights}
    for slot in slots(model.optimizer):
        mask = by_id.get(id(slot.variable))
        if mask is not None and mask.shape == tuple(slot.value.shape):
            keeps[id(slot.value)] = mask
    held = [*model.weights, *model.optimizer.variables]
    found = []
    for at, (variable, value) in enumerate(zip(held, state, strict=True)):
        keep = keeps.get(id(variable))
        found.append(value if keep is None or at < first else np.where(keep, value, 0))
    return found
