"""Layers in a basis of cosines with other frequencies, in place."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_snare.graph import trace
from keras_snare.layers.cosines import basis
from keras_snare.surgery import optimizers, variables
from keras_snare.surgery.attributes.weights import SUPPORT
from keras_snare.surgery.resizing import resized
from keras_snare.surgery.snapshot import Snapshot


def set_frequencies(model: keras.Model, chosen: Mapping[Any, Sequence[int]]) -> Snapshot:
    """Gives layers of a model other frequencies; those that stay keep coefficients and momenta.

    Frequencies that are new begin at zero, so that the model computes what it did without those
    that go. Training goes on with the next step.

    Args:
        model: a built model.
        chosen: by layer, the flat numbers of its frequencies, in the order of the coefficients.

    Returns:
        `Snapshot`, whose `restore()` undoes it.
    """
    keep, new = {}, {}
    for layer, frequencies in chosen.items():
        place = {one: at for at, one in enumerate(layer.frequencies)}
        positions = np.array([place.get(one, -1) for one in frequencies], dtype=np.int64)
        keep[id(layer.kernel)] = layer.kernel, {0: positions}
        new[id(layer.kernel)] = positions < 0
    with resized(model, trace(model), keep) as snapshot:
        for layer, frequencies in chosen.items():
            found = tuple(map(int, frequencies))
            made = basis(layer.basis_grid, found).astype(layer.fixed_basis.dtype)
            for name, value in zip(SUPPORT, (found, found, made), strict=True):
                variables.set_attribute(layer, name, value)
        begun = {at: _rows(variable, new[at]) for at, (variable, _) in keep.items()}
        optimizers.clear_slots(getattr(model, "optimizer", None), begun)
    return snapshot


def _rows(variable, new: np.ndarray) -> np.ndarray:
    return np.broadcast_to(new.reshape(-1, *[1] * (len(variable.shape) - 1)), variable.shape)
