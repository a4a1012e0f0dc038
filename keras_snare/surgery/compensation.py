"""What readers of removed units are given for them: weights fitted to what they did with them.

Before the cut, the model runs on data, and what readers compute is kept. After it, the narrow model
runs on the same data, call by call. Where it comes to a reader, this one is fitted to what it
computed before from what it reads now, so that it also makes up for what those before it could not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.criteria import batches, check_data, flat_inputs
from keras_snare.graph import Call, ChannelGroup, ChannelGroups, Step, channel_groups
from keras_snare.surgery.readers import LEAST_SQUARES, MEAN, Reader, readers_of

KINDS = (MEAN, LEAST_SQUARES)
_BATCH_SIZE = 128


@dataclass(frozen=True, eq=False)
class Compensation:
    """What the readers of removed units are to be given, and the data that it follows from.

    Args:
        kind: `"mean"` for a constant, `"least_squares"` for new weights.
        data: `(x,)` or `(x, y)` arrays, or an iterable of batches; labels are not looked at.
    """

    kind: str
    data: Any

    def check(self, groups: ChannelGroups, chosen: Iterable[ChannelGroup]) -> None:
        """Checks that it can be done whatever is cut of the chosen groups.

        Raises:
            UnsupportedModelError: when it cannot.
        """
        free = [group.roots[group.free] for group in chosen]
        readers_of(groups, np.concatenate([*free, np.zeros(0, np.int64)]), self.kind)


def check_compensation(
    compensate: str | None, data: Any, fold_constants: bool = False, argument: str = "data"
) -> Compensation | None:
    """Checks arguments, and returns what they say; None where nothing is to be compensated.

    Args:
        compensate: as `prune` takes it.
        data: likewise.
        fold_constants: likewise.
        argument: the name under which the caller takes the data.

    Raises:
        ValueError: when they are out of range, or do not go together.
    """
    if compensate is None:
        return None
    if compensate not in KINDS:
        raise ValueError(
            f"`compensate` is one of {', '.join(map(repr, KINDS))}, or None. Received: "
            f"compensate={compensate!r}"
        )
    if fold_constants:
        raise ValueError(
            "`compensate` gives readers what fold_constants would, by data. Received: "
            f"compensate={compensate!r}, fold_constants=True. Give one of the two."
        )
    if data is None:
        raise ValueError(
            f"compensate={compensate!r} looks at data. Received: {argument}=None. Give "
            f"`{argument}=(x,)`, a few hundred examples like those that the model will see."
        )
    check_data(data, argument, labelled=False)
    return Compensation(compensate, data)


class Uncut:
    """What the readers of units compute as long as these are there.

    In memory are, for all of the data, the inputs, what each reader computes for its units that
    stay (4 bytes each), and while readers are fitted, the tensors between two layers.

    Args:
        groups: the channel groups of the model, before the cut.
        removed: the channels (roots) that go.
        compensation: what readers are to be given, and the data.

    Raises:
        UnsupportedModelError: when units that go are read by what cannot be fitted, or not at all.
        ValueError: when there are no data.
    """

    def __init__(
        self, groups: ChannelGroups, removed: np.ndarray, compensation: Compensation
    ) -> None:
        self._readers = readers_of(groups, removed, compensation.kind)
        self._batches: list[list[Any]] = []
        for x, _ in batches(compensation.data, _BATCH_SIZE):
            self._batches.append(flat_inputs(groups.trace, x))
            seen: dict[tuple[Reader, int], Any] = {}

            def read(call, key, value, seen=seen):
                if id(call.operation) in self._readers:
                    seen[self._readers[id(call.operation)], key] = value
                return value

            groups.trace.run(self._batches[-1], read)
            for (reader, source), value in seen.items():
                reader.listen(source, value)
        if not self._batches:
            raise ValueError(
                "The data for `compensate` hold no example. Give `data=(x,)`, a few hundred."
            )

    def give_back(self, model: keras.Model) -> None:
        """Fits the readers of the narrow model, each after those before it.

        Raises:
            ValueError: when the data do not give finite numbers; the caller undoes what was done.
        """
        graph = channel_groups(model).trace
        needed = {key: at for at, step in enumerate(graph.steps) for key in step.call.inputs}
        values = [dict(zip(graph.inputs, batch, strict=True)) for batch in self._batches]
        for at, step in enumerate(graph.steps):
            for call in step.calls:
                if id(call.operation) in self._readers:
                    _fit(self._readers[id(call.operation)], call, step, values)
            if not any(reader.targets for reader in self._readers.values()):
                return
            for one in values:
                one.update(step.run(one, lambda _call, _key, value: value))
                for key in [key for key in one if needed.get(key, at) <= at]:
                    del one[key]
        raise AssertionError("the narrow model has other readers than the whole one")


def _fit(reader: Reader, call: Call, step: Step, values: list[dict[int, Any]]) -> None:
    """Fits a reader to one of its calls, and to all others whose inputs are known by now."""
    if step.inside:
        (source,) = call.inputs
        sources = {source} & reader.targets.keys()
    else:
        sources = reader.targets.keys() & values[0].keys()
    for source in sorted(sources):
        reader.meet(source, (_read(call, source, step, one) for one in values))
    if sources:
        reader.fit()


def _read(call: Call, source: int, step: Step, values: dict[int, Any]) -> Any:
    """What a call reads of a batch."""
    if not step.inside:
        return values[source]
    found = []

    def read(one, key, value):
        if one is call and key == source:
            found.append(value)
        return value

    step.run(values, read)
    return found[0]
