"""One pass over data for the criteria that look at activations or gradients."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.batches import batches, check_labels, flat_inputs, no_example
from keras_snare.criteria.evidence import columns, is_internal
from keras_snare.criteria.gradients import Taps, gradients_by_taps
from keras_snare.criteria.products import Tap, products, taps_of
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import READER, ChannelGroup, ChannelGroups, Member


def averages(
    model: keras.Model,
    groups: ChannelGroups,
    chosen: Iterable[ChannelGroup],
    criterion: Criterion,
    data: Any,
    batch_size: int = 128,
) -> dict[str, np.ndarray]:
    """Averages a criterion's statistic over data, in inference mode.

    Args:
        model: the model.
        groups: its channel groups.
        chosen: the groups to look at.
        criterion: what to reduce a batch by.
        data: `(x, y)` arrays, or an iterable of such batches.
        batch_size: int, for arrays.

    Returns:
        Group name to array `(width,)`.
    """
    chosen = list(chosen)
    totals = {group.name: np.zeros(group.width) for group in chosen}
    seen = 0
    readers = {(id(one.layer), one.source) for one in groups.bindings if one.role == READER}
    taps = _weights(chosen, criterion)
    variables = {id(tap.variable): tap.variable for found in taps.values() for tap in found}
    for x, y in batches(data, batch_size):
        inputs = flat_inputs(groups.trace, x)
        check_labels(y, criterion.needs == "gradients")
        size = int(inputs[0].shape[0])
        if criterion.needs == "gradients":
            read, slopes = gradients_by_taps(
                model, groups.trace, readers, inputs, y, list(variables.values())
            )
        else:
            read, slopes = Taps(readers), {}
            groups.trace.run(inputs, read.read)
        for group in chosen:
            if group.name in taps:
                sums = products(taps[group.name], slopes)
                figures = criterion.statistic(sums, keras.ops.ones_like(sums)) * size
            else:
                gradients = _stacked(group, slopes) * size if slopes else None
                figures = criterion.statistic(_stacked(group, read.values), gradients)
            totals[group.name] += keras.ops.convert_to_numpy(keras.ops.sum(figures, axis=0))
        seen += size
    if not seen:
        raise no_example()
    return {name: total / seen for name, total in totals.items()}


def check_measurable(chosen: list[ChannelGroup], criterion: Criterion) -> None:
    """Checks that data show what a criterion looks at, of each of some groups.

    Raises:
        UnsupportedModelError: when they do not.
    """
    for part in criterion.measured:
        if part.needs in ("activations", "gradients"):
            _weights(chosen, part)


def _weights(chosen: list[ChannelGroup], criterion: Criterion) -> dict[str, list[Tap]]:
    """The weights by which groups are scored that lie, in part, inside of a layer."""
    inner = [group for group in chosen if is_internal(group)]
    if not inner or (criterion.needs == "gradients" and criterion.live):
        return {group.name: taps_of(group) for group in inner}
    unread = [group.name for group in inner if not _sources(group)]
    if unread or criterion.needs == "gradients":
        name = unread[0] if unread else inner[0].name
        raise UnsupportedModelError(
            f"{criterion!r} looks at what layers read, but the channels {name!r} "
            "stay inside of a layer. Choose 'taylor' or a criterion on weights, such as 'l1_in', "
            "or leave them out with `layers=`."
        )
    return {}


def _sources(group: ChannelGroup) -> list[Member]:
    return [one for one in group.with_role(READER) if one.binding.source is not None]


def _stacked(group: ChannelGroup, values: dict[tuple[int, int | None], Any]) -> Any:
    """What all readers of a group read, as `(batch, positions, channels)`."""
    parts, seen = [], set()
    for member in _sources(group):
        key = (id(member.binding.layer), member.binding.source)
        if key in seen:
            continue
        seen.add(key)
        value = keras.ops.cast(values[key], "float32")
        value = keras.ops.moveaxis(value, member.binding.source_axis, -1)
        positions, valid = columns(member.channels, group.width)
        batch, length = int(value.shape[0]), int(np.prod(value.shape[1:-1], dtype=np.int64))
        value = keras.ops.reshape(value, (batch, length, int(value.shape[-1])))
        value = keras.ops.take(value, positions.reshape(-1), axis=-1)
        value = keras.ops.reshape(value, (batch, length, *positions.shape)) * valid
        value = keras.ops.transpose(value, (0, 1, 3, 2))
        parts.append(keras.ops.reshape(value, (batch, -1, group.width)))
    return keras.ops.concatenate(parts, axis=1)
