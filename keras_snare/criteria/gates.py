"""Derivatives of the loss by gates: factors of 1 on weights or units, which 0 would remove."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.coordinates import Coordinates
from keras_snare.criteria.curvature import derivatives
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.products import Tap, taps_of
from keras_snare.graph import PRODUCER, ChannelGroup, ChannelGroups


def gate_statistics(
    model: keras.Model,
    groups: ChannelGroups,
    chosen: Iterable[ChannelGroup],
    criterion: Criterion,
    data: Any,
    batch_size: int = 128,
) -> dict[str, np.ndarray]:
    """Reduces the derivatives by the gates of each channel by a criterion's statistic.

    Args:
        model: the model.
        groups: its channel groups.
        chosen: the groups to look at.
        criterion: one whose `needs` is `"curvature"`; its `gates` says what has a gate.
        data: `(x, y)` arrays, or an iterable of such batches.
        batch_size: int, for arrays.

    Returns:
        Group name to array `(width,)`.
    """
    chosen = list(chosen)
    options = data, criterion.probes, batch_size, criterion.seed, criterion.curvature
    gated = _by_weights if criterion.gates == "weights" else _by_units
    found = {}
    for group, slopes, curvatures in gated(model, groups, chosen, options):
        figures = criterion.statistic(_as_example(slopes), _as_example(curvatures))
        found[group.name] = keras.ops.convert_to_numpy(figures)[0].astype("float64")
    return found


def _as_example(by_channel: np.ndarray) -> Any:
    """From `(channels, gates)` to `(1, gates, channels)`."""
    return keras.ops.convert_to_tensor(by_channel.T[None], dtype="float32")


def _by_weights(
    model: keras.Model, groups: ChannelGroups, chosen: list[ChannelGroup], options: tuple
):
    """Yields each group and, by the weights that make its channels, the two derivatives."""
    seen = {group.name: ChannelEvidence(group) for group in chosen}
    roles = {name: evidence.role(PRODUCER) for name, evidence in seen.items()}
    members = [member for group in chosen for member in group.with_role(roles[group.name])]
    variables = list({id(one.binding.variable): one.binding.variable for one in members}.values())
    shapes = [tuple(variable.shape) for variable in variables]
    weights = Coordinates(variables, shapes, spread=list, gather=list)
    first, second = derivatives(model, groups.trace, weights, *options)
    slopes, curvatures = {}, {}
    for variable, slope, curvature in zip(variables, first, second, strict=True):
        weight = np.asarray(variable.numpy(), dtype=np.float64)
        slopes[id(variable)] = weight * slope
        curvatures[id(variable)] = weight**2 * curvature
    for group in chosen:
        arranged = (
            seen[group.name].arrays(roles[group.name], values=lambda one, by=by: by[id(one)])
            for by in (slopes, curvatures)
        )
        yield group, *(np.concatenate(arrays, axis=1) for arrays in arranged)


def _by_units(
    model: keras.Model, groups: ChannelGroups, chosen: list[ChannelGroup], options: tuple
):
    """Yields each group and, by gates where its channels are read, the two derivatives.

    A gate on what a layer reads is one on the weights that read it, so that nothing has to be put
    between layers, and what is read inside of a layer has gates as well.
    """
    taps = {group.name: taps_of(group) for group in chosen}
    first, second = derivatives(model, groups.trace, _units(chosen, taps), *options)
    for group, slopes, curvatures in zip(chosen, first, second, strict=True):
        yield group, slopes[:, None], curvatures[:, None]


def _units(chosen: list[ChannelGroup], taps: dict[str, list[Tap]]) -> Coordinates:
    variables = {id(tap.variable): tap.variable for found in taps.values() for tap in found}

    def spread(changes):
        totals = {key: keras.ops.zeros(one.shape) for key, one in variables.items()}
        for group, change in zip(chosen, changes, strict=True):
            for tap in taps[group.name]:
                totals[id(tap.variable)] += tap.spread(change)
        return list(totals.values())

    def gather(slopes):
        by_id = dict(zip(variables, slopes, strict=True))
        return [
            sum(tap.sums(by_id[id(tap.variable)]) for tap in taps[group.name]) for group in chosen
        ]

    shapes = [(group.width,) for group in chosen]
    return Coordinates(list(variables.values()), shapes, spread, gather)
