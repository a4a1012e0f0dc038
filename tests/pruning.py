"""The network and the data of the tests of `prune`."""

import models
import numpy as np
from keras import layers


def network(compiled=False):
    """Two hidden layers of 8 and 4 units whose `l1_in` scores grow with the index of the unit."""
    model = models.chain(
        (2,),
        layers.Dense(8, "relu", name="wide"),
        layers.Dense(4, "relu", name="narrow"),
        layers.Dense(3, name="last"),
    )
    for layer in model.layers:
        inputs, units = layer.kernel.shape
        layer.kernel.assign(np.tile(np.arange(1, units + 1) / 10, (inputs, 1)))
    if compiled:
        model.compile("sgd", "mse", run_eagerly=True)
    return model


def data(size=20, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(size, 2)), random.normal(size=(size, 3))
