"""The layers around a cut, and what they read and computed before it."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.criteria import batches, flat_inputs
from keras_snare.graph import ChannelGroup, ChannelGroups, Step

# Bytes of activations that are kept in memory; more lie in files.
_IN_MEMORY = 2**30


@dataclass(frozen=True, eq=False)
class Block:
    """The steps of a network that a cut changes: what makes the units, passes them on, reads them.

    Args:
        steps: numbers of the steps in the graph.
        inputs: keys of the tensors that they read and that stay as wide as they are.
        outputs: keys of those that they make and that stay as wide.
    """

    steps: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def block_around(groups: ChannelGroups, group: ChannelGroup, removed: np.ndarray) -> Block:
    """Returns the block of a group of which the channels `removed` (roots) are about to go."""
    layers = {id(one.binding.layer) for one in group.members}

    def changes(key: int) -> bool:
        axes = groups.labels.get(key, {})
        return not all(groups.kept(labels, removed).all() for labels in axes.values())

    steps: list[int] = []
    inputs: dict[int, None] = {}
    outputs: dict[int, None] = {}
    for number, step in enumerate(groups.trace.steps):
        keys = (*step.call.inputs, *step.call.outputs)
        if id(step.call.operation) not in layers and not any(map(changes, keys)):
            continue
        steps.append(number)
        inputs.update(dict.fromkeys(key for key in step.call.inputs if not changes(key)))
        outputs.update(dict.fromkeys(key for key in step.call.outputs if not changes(key)))
    return Block(tuple(steps), tuple(inputs), tuple(outputs))


class Activations:
    """Values of some tensors for all examples, in memory, or in files where they are many.

    Args:
        keys: of the tensors.
        in_memory: int, bytes of them that are kept in memory.
    """

    def __init__(self, keys: Iterable[int], in_memory: int = _IN_MEMORY) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self.in_memory = in_memory
        self.count = 0
        self._parts: dict[int, list[np.ndarray]] = {key: [] for key in self.keys}
        self._files: dict[int, Any] = {}
        self._bytes = 0

    def add(self, values: dict[int, Any]) -> None:
        """Adds those of a batch."""
        for key in self.keys:
            array = np.ascontiguousarray(keras.ops.convert_to_numpy(values[key]))
            if array.dtype.kind not in "iub":
                array = array.astype("float32")
            self._parts[key].append(array)
            self._bytes += array.nbytes
        self.count += len(self._parts[self.keys[0]][-1])
        if self._files or self._bytes > self.in_memory:
            self._write()

    def arrays(self) -> dict[int, np.ndarray]:
        """Returns the values of each tensor, examples along the first axis; once."""
        found = {key: self._array(key) for key in self.keys}
        for file in self._files.values():
            file.close()  # What was mapped stays mapped.
        return found

    def _write(self) -> None:
        for key, parts in self._parts.items():
            if key not in self._files:
                # Gone with the last that holds it.
                self._files[key] = tempfile.TemporaryFile()  # noqa: SIM115
            file = self._files[key]
            for part in parts:
                file.write(part.data)
            # The last one says how the file is to be read.
            self._parts[key] = [parts[-1][:0]]

    def _array(self, key: int) -> np.ndarray:
        parts, file = self._parts[key], self._files.get(key)
        if file is None:
            return np.concatenate(parts)
        file.flush()
        shape = (self.count, *parts[0].shape[1:])
        return np.memmap(file, parts[0].dtype, "r", shape=shape)


def seen_on(groups: ChannelGroups, block: Block, data: Any, batch_size: int) -> Activations:
    """Runs a network on data, and keeps what a block reads and makes.

    Raises:
        ValueError: when the data hold no example, or the model does not take them.
    """
    found = Activations([*block.inputs, *block.outputs])
    last = max(block.steps)
    for x, _ in batches(data, batch_size):
        values = dict(zip(groups.trace.inputs, flat_inputs(groups.trace, x), strict=True))
        for step in groups.trace.steps[: last + 1]:
            values.update(run_step(step, values))
        found.add(values)
    if not found.count:
        raise ValueError("The data to train blocks on hold no example. Give some.")
    return found


def run_step(step: Step, values: dict[int, Any]) -> dict[int, Any]:
    """Computes what a step makes, as in inference."""
    return step.run(values, lambda call, key, value: value)
