"""Ranks in the order of what they carry: the middle of two layers, turned in place."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.factorize.pairs import Pair
from keras_snare.surgery.optimizers import built_optimizer, moving_averages, slots


@dataclass(frozen=True, eq=False)
class _Turn:
    """How a kernel changes along one axis, and what is kept beside it.

    Args:
        variable: the kernel.
        axis: int, the axis of the ranks.
        value: the kernel as it is to be.
        weights: `(ranks, ranks)`, what turns averages of the kernel.
        gradients: the same for averages of its gradients.
    """

    variable: Any
    axis: int
    value: np.ndarray
    weights: np.ndarray
    gradients: np.ndarray


def turn(model: keras.Model, pair: Pair) -> None:
    """Gives two kernels the factors that the singular value decomposition of their product has.

    The model computes the same. Each unit between them then carries one singular value, the
    greatest comes first, and the last units are those whose loss changes the product least. What
    the optimizer keeps of the kernels is turned with them: averages of gradients exactly, averages
    of their squares as if the gradients of different units were independent.

    Args:
        model: the model, whose optimizer follows.
        pair: the kernels.

    Raises:
        ValueError: when the kernels have weights that are not finite; nothing has changed then.
    """
    optimizer = built_optimizer(model)
    turns = {id(one.variable): one for one in _turns(pair)}
    averages = {id(one) for one in moving_averages(optimizer).values()}
    for slot in slots(optimizer):
        found = turns.get(id(slot.variable))
        if found is None or found.axis not in slot.axes:
            continue  # Adafactor's means over the ranks stay nearly what they are.
        value = keras.ops.convert_to_numpy(slot.value).astype("float64")
        mixing = found.weights if id(slot.value) in averages else found.gradients
        # What is nowhere negative are averages of squares.
        if id(slot.value) not in averages and value.min() >= 0:
            mixing = mixing**2
        slot.value.assign(_mixed(value, slot.axes.index(found.axis), mixing))
    for one in turns.values():
        one.variable.assign(one.value)


def _turns(pair: Pair) -> tuple[_Turn, _Turn]:
    first, last = pair.first, pair.last
    axis = len(last.shape) - 2
    left = keras.ops.convert_to_numpy(first).astype("float64")
    right = keras.ops.convert_to_numpy(last).astype("float64")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError(
            f"Expected finite weights. Received: kernels {first.path!r} and {last.path!r}, of "
            "which one has NaN or infinite ones. Go back to an epoch before them, and train at a "
            "lower learning rate."
        )
    ranks = left.shape[-1]
    own, above = np.linalg.qr(left.reshape(-1, ranks))
    other, below = np.linalg.qr(np.moveaxis(right, axis, -1).reshape(-1, ranks))
    start, values, end = np.linalg.svd(above @ below.T, full_matrices=False)
    # Units beyond what either side can tell apart carry nothing.
    missing = ((0, 0), (0, ranks - len(values)))
    root = np.sqrt(values)
    inverse = np.divide(1, root, where=root > 1e-6 * root[:1], out=np.zeros_like(root))
    sides = [(own, start, above, end.T, below), (other, end.T, below, start, above)]
    made = []
    for basis, ahead, here, behind, there in sides:
        value = np.pad(basis @ ahead * root, missing)
        weights = np.pad(there.T @ behind * inverse, missing)
        gradients = np.pad(here.T @ ahead * inverse, missing)
        made.append((value, weights, gradients))
    shape = np.moveaxis(right, axis, -1).shape
    back = np.moveaxis(made[1][0].reshape(shape), -1, axis)
    return (
        _Turn(first, left.ndim - 1, made[0][0].reshape(left.shape), *made[0][1:]),
        _Turn(last, axis, back, *made[1][1:]),
    )


def _mixed(value: np.ndarray, axis: int, mixing: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.moveaxis(value, axis, -1) @ mixing, -1, axis)
