"""How much of one layer goes before a point of accuracy is lost, without retraining."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from base_training import BASE_NETWORKS, train_base

import keras_snare
from keras_snare.criteria import get_criterion, score_groups, statistics
from keras_snare.graph import READER, ChannelGroup, channel_groups
from keras_snare.masking import ConnectionPruner, get_connection_criterion, kernels_of
from keras_snare.policy import lowest
from keras_snare.surgery.merging import merged

EPS = 0.01
EXAMPLES = 2048


class Bench:
    """A trained network, and its accuracy with some of its weights set to zero.

    Args:
        name: A key of `BASE_NETWORKS`.
        seed: Seed of the base network.
        directory: Folder of trained base networks.
    """

    def __init__(self, name: str, seed: int, directory: Path):
        self.base = BASE_NETWORKS[name]
        self.path = train_base(name, seed, directory)
        self.data = self.base.load()
        self.model = self.fresh()
        self.groups = channel_groups(self.model)
        random = np.random.default_rng(seed)
        some = random.choice(len(self.data.x_train), min(EXAMPLES, len(self.data.x_train)), False)
        self.scoring = (self.data.x_train[some], self.data.y_train[some])
        self.weights = self.model.get_weights()
        self.reference = self.accuracy()

    def fresh(self) -> keras.Model:
        """The base network, compiled with its optimizer."""
        return keras.models.load_model(self.path)

    def accuracy(self, model: Any = None) -> float:
        """Accuracy on the validation part."""
        found = (model or self.model).evaluate(
            self.data.x_validation,
            self.data.y_validation,
            batch_size=1000,
            verbose=0,
            return_dict=True,
        )
        return found["accuracy"]

    def put_back(self) -> None:
        """Undoes what was set to zero."""
        self.model.set_weights(self.weights)


def largest(passes: Callable[[int], bool], end: int, coarse: int) -> int:
    """Returns the largest number before the first that does not pass, by steps of two sizes.

    Args:
        passes: Whether a number passes; 0 does.
        end: The first number that is not asked for.
        coarse: The larger step; the smaller one is 1.
    """
    last = 0
    for step in dict.fromkeys((coarse, 1)):
        while last + step < end and passes(last + step):
            last += step
    return last


def connections(bench: Bench, layer: str, name: str, whole: bool) -> dict[str, Any]:
    """Prunes the connections of one layer by one ranking, without retraining."""
    bench.put_back()
    (kernel,) = kernels_of(bench.model, layer)
    criterion = get_connection_criterion(name)
    data = bench.scoring if criterion.needs != "weights" else None
    pruner = ConnectionPruner(bench.model, criterion, layers=layer, data=data)
    order = np.argsort(pruner.scores()[kernel.name].reshape(-1), kind="stable")
    values = keras.ops.convert_to_numpy(kernel.variable)

    def accuracy(share: float) -> float:
        left = values.reshape(-1).copy()
        left[order[: round(share * len(order))]] = 0
        kernel.variable.assign(left.reshape(values.shape))
        return bench.accuracy()

    found = largest(lambda mille: bench.reference - accuracy(mille / 1000) < EPS, 1000, 50)
    course = [accuracy(percent / 100) for percent in range(0, 101, 2)] if whole else []
    bench.put_back()
    return {"share": found / 1000, "course": course}


def units(bench: Bench, group: ChannelGroup, name: str, whole: bool) -> dict[str, Any]:
    """Removes units of one layer, the lowest first, by silencing them in their readers."""
    bench.put_back()
    criterion, found = get_criterion(name), None
    if criterion.needs != "weights":
        found = statistics(bench.model, bench.groups, [group], criterion, bench.scoring)
    scores = score_groups([group], criterion, found)[group.name]

    def accuracy(count: int) -> float:
        bench.put_back()
        removed = lowest(group, scores, count)
        twins = keras_snare.criteria.twins_of([group], criterion, removed)
        for variable, value in merged(bench.groups, twins):
            variable.assign_add(value)
        for member in group.with_role(READER):
            gone = ~bench.groups.kept(member.binding.labels, removed)
            value = np.array(keras.ops.convert_to_numpy(member.binding.variable))
            np.moveaxis(value, member.binding.axis, 0)[gone] = 0
            member.binding.variable.assign(value)
        return bench.accuracy()

    share = largest(
        lambda count: bench.reference - accuracy(count) < EPS,
        group.removable + 1,
        max(1, group.width // 20),
    )
    course = [accuracy(count) for count in range(group.removable + 1)] if whole else []
    bench.put_back()
    return {"share": share / group.width, "course": course}
