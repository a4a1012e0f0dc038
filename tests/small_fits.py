"""A small network, its data, and a short `fit`."""

import keras
import numpy as np
from models import chain

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 8)).astype("float32")
Y = RANDOM.integers(0, 4, 40)


def network(kind=keras.Sequential, optimizer="adam", **settings):
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(16, "relu", name="a"), layers.Dense(4, "softmax", name="b")]
    model = chain((8,), *parts) if kind is keras.Sequential else kind([keras.Input((8,)), *parts])
    model.compile(optimizer, "sparse_categorical_crossentropy", **settings)
    return model


def fit(model, callbacks, epochs=3, **settings):
    settings = {"batch_size": 8, "verbose": 0, **settings}
    return model.fit(X, Y, epochs=epochs, callbacks=callbacks, **settings).history
