"""Channels as labels: which positions of which axes live and die together.

Every unit that a layer produces gets a label, a plain integer. Labels travel along axes: an
activation hands them on, `Concatenate` strings them together, `Flatten` repeats them, `Add`
declares the labels of its inputs to be one. What carries the same label in the end is cut together.
"""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

Labels = np.ndarray
AxisLabels = dict[int, Labels]
NO_DIMENSION = -1


class ChannelSpace:
    """Issues labels, joins them, and remembers which must stay and why."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._dimensions: list[int] = []
        self._owners: list[str] = []
        self.producers: dict[str, Any] = {}
        self._frozen: list[tuple[Labels, str]] = []

    def new(self, width: int, owner: str, layer: Any = None) -> Labels:
        """Returns fresh labels for `width` units, known as `owner`, that a layer produces."""
        self.producers.setdefault(owner, layer)
        start = len(self._parents)
        labels = np.arange(start, start + width)
        self._parents.extend(range(start, start + width))
        self._dimensions.extend([len(self._owners)] * width)
        self._owners.append(owner)
        return labels

    def fixed(self, width: int, reason: str) -> Labels:
        """Returns labels for units that no layer of ours produces; they can never be cut."""
        labels = np.arange(len(self._parents), len(self._parents) + width)
        self._parents.extend(labels.tolist())
        self._dimensions.extend([NO_DIMENSION] * width)
        self.freeze(labels, reason)
        return labels

    def join(self, first: Labels, second: Labels) -> None:
        """Declares that the labels at equal positions are cut together."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            one, other = self._root(one), self._root(other)
            if one != other:
                self._parents[max(one, other)] = min(one, other)

    def join_rows(self, labels: Labels) -> None:
        """Declares that the labels in each row of a matrix are cut together."""
        for column in range(1, labels.shape[1]):
            self.join(labels[:, 0], labels[:, column])

    def freeze(self, labels: Labels, reason: str) -> None:
        """Declares that the channels behind `labels` cannot be cut, and why."""
        self._frozen.append((labels, reason))

    def freeze_output(self, axes: AxisLabels) -> None:
        """Freezes a tensor that the model returns; this reason is told before any other."""
        self._frozen[:0] = [(labels, "its width is the model's output") for labels in axes.values()]

    def freeze_all(self, axes: AxisLabels, reason: str) -> None:
        """Freezes every labelled axis of a tensor."""
        for labels in axes.values():
            self.freeze(labels, reason)

    def _root(self, label: int) -> int:
        parents = self._parents
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label

    def roots(self) -> np.ndarray:
        """Returns, for every label, the one label that stands for its channel."""
        return np.array([self._root(label) for label in range(len(self._parents))], dtype=np.int64)

    def reasons(self, roots: np.ndarray) -> dict[int, str]:
        """Returns the first reason why a channel cannot be cut, for those that cannot."""
        reasons: dict[int, str] = {}
        for labels, reason in self._frozen:
            for root in np.unique(roots[labels]).tolist():
                reasons.setdefault(root, reason)
        return reasons

    def components(self, roots: np.ndarray) -> list[list[int]]:
        """Returns dimensions (one per call of `new`) that share a channel, grouped together."""
        dimensions = np.array(self._dimensions, dtype=np.int64)
        parents = list(range(len(self._owners)))

        def root(dimension):
            while parents[dimension] != dimension:
                dimension = parents[dimension]
            return dimension

        pairs = np.stack([dimensions[roots], dimensions], axis=1)
        pairs = pairs[(pairs != NO_DIMENSION).all(axis=1)]
        for one, other in np.unique(pairs, axis=0).tolist():
            one, other = root(one), root(other)
            parents[max(one, other)] = min(one, other)
        members: dict[int, list[int]] = {}
        for dimension in range(len(parents)):
            members.setdefault(root(dimension), []).append(dimension)
        return list(members.values())

    def owner(self, dimension: int) -> str:
        """Returns the name of the layer whose units a dimension counts."""
        return self._owners[dimension]

    def labels_by_dimension(self) -> list[Labels]:
        """Returns the labels of every dimension, in the order of the layer's units."""
        dimensions = np.array(self._dimensions, dtype=np.int64)
        order = np.argsort(dimensions, kind="stable")
        bounds = np.searchsorted(dimensions[order], np.arange(len(self._owners) + 1))
        return [order[start:end] for start, end in itertools.pairwise(bounds)]

    def labels_by_owner(self) -> dict[str, Labels]:
        """Returns the labels of each layer's units; of a shared layer, those of its first call."""
        owned: dict[str, Labels] = {}
        for owner, labels in zip(self._owners, self.labels_by_dimension(), strict=True):
            owned.setdefault(owner, labels)
        return owned


def join_axes(space: ChannelSpace, tensors: Iterable[tuple[tuple, AxisLabels]], name: str):
    """Joins tensors element by element, as `Add` does, with NumPy's broadcasting.

    Args:
        space: where the labels live.
        tensors: shape and labels of each operand.
        name: of the operation, for the reasons.

    Returns:
        The labels of the result, by axis.
    """
    operands = list(tensors)
    ndim = max(len(shape) for shape, _ in operands)
    joined: AxisLabels = {}
    for axis in range(ndim):
        present = []
        for shape, axes in operands:
            own = axis - (ndim - len(shape))
            if own >= 0:
                present.append((shape[own], axes.get(own)))
        sizes = {size for size, _ in present if size != 1}
        width_fixed = False
        labelled = []
        for size, labels in present:
            if labels is not None and size == 1 and sizes:
                space.freeze(labels, f"{name} spreads it over an axis")
            elif labels is not None:
                labelled.append(labels)
            elif size != 1 or not sizes:
                width_fixed = True
        for labels in labelled[1:]:
            space.join(labelled[0], labels)
        if labelled and width_fixed:
            space.freeze(labelled[0], f"{name} joins it with a tensor of fixed width")
        if labelled:
            joined[axis] = labelled[0]
    return joined


def reshape_axes(
    space: ChannelSpace, axes: AxisLabels, before: tuple, after: tuple, name: str
) -> AxisLabels:
    """Follows labels through a reshape of everything but the batch axis.

    Args:
        space: where the labels live.
        axes: labels by axis of the tensor before.
        before: shape of the tensor before, batch axis first.
        after: shape afterwards.
        name: of the operation, for the reasons.

    Returns:
        The labels by axis afterwards. A labelled axis whose channels do not come to lie along one
        axis is frozen.
    """
    result: AxisLabels = {}
    for axis, labels in axes.items():
        place = _place(space, labels, axis, before, after)
        if place is None:
            space.freeze(labels, f"{name} does not keep its channels apart")
        elif place[0] in result:
            space.freeze(labels, f"{name} mixes two axes of channels")
            space.freeze(result[place[0]], f"{name} mixes two axes of channels")
        else:
            result[place[0]] = place[1]
    return result


def _place(space, labels, axis, before, after) -> tuple[int, Labels] | None:
    """The axis that channels come to lie along in a reshape, and their labels there."""
    suffix = axis - len(before)
    if after[suffix:] == before[suffix:] and None not in before[axis:]:
        # Rows of equal tails are rows of equal tails, however their heads are arranged.
        return len(after) + suffix, labels
    sizes = _known(before[1:]), _known(after[1:])
    if axis == 0 or np.prod(sizes[0]) != np.prod(sizes[1]):
        return None
    shape = [1] * len(sizes[0])
    shape[axis - 1] = -1
    kinds, order = np.unique(labels, return_inverse=True)
    spread = np.broadcast_to(order.reshape(shape), sizes[0]).reshape(sizes[1])
    found = _along_one_axis(spread)
    if found is None:
        found = _coupled_along_one_axis(spread, space, kinds)
    return None if found is None else (found[0] + 1, kinds[found[1]])


def _known(shape: tuple) -> tuple:
    """One unknown size, such as the length of a sequence, may stand on both sides of a reshape."""
    return tuple(size or 1 for size in shape) if shape.count(None) <= 1 else (0,)


def _along_one_axis(spread: np.ndarray) -> tuple[int, np.ndarray] | None:
    """Finds the axis that alone tells which channel an element belongs to."""
    for candidate, size in enumerate(spread.shape):
        along = np.moveaxis(spread, candidate, 0).reshape(size, -1)
        if (along == along[:, :1]).all():
            return candidate, along[:, 0]
    return None


def _coupled_along_one_axis(spread, space, labels) -> tuple[int, np.ndarray] | None:
    """Couples channels until one axis tells them apart: the one that leaves the most."""
    best = None
    for candidate, size in enumerate(spread.shape):
        rows = np.moveaxis(spread, candidate, 0).reshape(size, -1)
        rows = [np.unique(row) for row in rows]
        trial = ChannelSpace()
        own = trial.new(len(labels), "")
        for row in rows:
            trial.join(np.repeat(own[row[:1]], len(row)), own[row])
        count = len(np.unique(trial.roots()))
        if count > 1 and (best is None or count > best[0]):
            best = count, candidate, rows
    if best is None:
        return None
    for row in best[2]:
        space.join(np.repeat(labels[row[:1]], len(row)), labels[row])
    return best[1], np.array([row[0] for row in best[2]])
