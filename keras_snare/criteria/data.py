"""One pass over data for the criteria that look at activations or gradients."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import columns, is_internal
from keras_snare.criteria.gradients import Taps, gradients_by_taps
from keras_snare.criteria.products import Tap, products, taps_of
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import READER, ChannelGroup, ChannelGroups, Member, Trace


def check_data(data: Any, argument: str, labelled: bool) -> None:
    """Checks data before anything is done with them.

    Raises:
        ValueError: when they can be read only once, or lack the labels that are needed.
    """
    if hasattr(data, "__next__"):
        raise ValueError(
            f"`{argument}` is read several times. Received an iterator "
            f"({type(data).__name__}), which can be read once. Give arrays `(x, y)`, a "
            "tf.data.Dataset or a keras.utils.PyDataset."
        )
    if not isinstance(data, (tuple, list)) and not isinstance(data, Iterable):
        raise ValueError(
            f"`{argument}` is `(x, y)` arrays, a tf.data.Dataset or a keras.utils.PyDataset. "
            f"Received: {type(data).__name__}."
        )
    if labelled and isinstance(data, (tuple, list)) and len(data) < 2:
        raise ValueError(
            f"The criterion needs labelled data: `{argument}=(x, y)`. Received: {len(data)} part."
        )


def batches(data: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    """Yields `(x, y)` batches; `y` is None where the data have none."""
    if isinstance(data, (tuple, list)):
        x, y = data[0], data[1] if len(data) > 1 else None
        size = len(keras.tree.flatten(x)[0])
        for start in range(0, size, batch_size):
            part = slice(start, start + batch_size)
            yield _part(x, part), None if y is None else _part(y, part)
        return
    steps = range(len(data)) if isinstance(data, keras.utils.PyDataset) else data
    for step in steps:
        batch = data[step] if isinstance(data, keras.utils.PyDataset) else step
        if isinstance(batch, (tuple, list)):
            yield batch[0], batch[1] if len(batch) > 1 else None
        else:
            yield batch, None


def _part(arrays: Any, part: slice) -> Any:
    return keras.tree.map_structure(lambda array: array[part], arrays)


def flat_inputs(graph: Trace, x: Any) -> list[Any]:
    """Returns one tensor per model input."""
    symbols = [graph.tensors[key][0] for key in graph.inputs]
    if isinstance(x, dict) and all(tensor.name in x for tensor in symbols):
        values = [x[tensor.name] for tensor in symbols]
    else:
        values = keras.tree.flatten(x)
    return [
        keras.ops.convert_to_tensor(value, dtype=tensor.dtype)
        for value, tensor in zip(values, symbols, strict=True)
    ]


def statistics(
    model,
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
        raise ValueError("The data for the criterion hold no example. Give at least one.")
    return {name: total / seen for name, total in totals.items()}


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
