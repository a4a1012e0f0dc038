"""Training of the layers around a cut alone, so that they compute what they did before."""

import math
from typing import Any

import keras
import numpy as np

from keras_snare.graph import ChannelGroup, ChannelGroups, Step
from keras_snare.replicas import scope_of
from keras_snare.search.blocks import Activations, Block, block_around, run_step, seen_on
from keras_snare.surgery import array_of

# At the most, and as a share of the size of weights: those of wide layers are small.
_LEARNING_RATE, _STEP = 1e-3, 0.02
# Examples by which the variance of an output is told, and the least that it counts as.
_LOOKED_AT, _LEAST = 4096, 1e-12


class BlockTraining:
    """Trains blocks to what they computed before a cut.

    The block is the layers that make the units of a group, those that pass them on, and those that
    read them. It is trained by itself, from what it read before the cut to what it made of that:
    by the mean squared error, over the variance of each output.

    Args:
        data: examples, whose labels are not looked at.
        epochs: int, how often they are gone through for a cut.
        batch_size: int, examples of a step.
        model: whose strategy the blocks are trained by, or None.

    Reference:
        He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017, and Li
        et al., "BRECQ", ICLR 2021, for reconstruction layer by layer and block by block.
    """

    def __init__(self, data: Any, epochs: int, batch_size: int = 64, model: Any = None) -> None:
        self.data = data
        self.epochs = epochs
        self.batch_size = batch_size
        self.model = model

    def before(
        self, groups: ChannelGroups, group: ChannelGroup, removed: np.ndarray
    ) -> "BlockTask | None":
        """Keeps what is needed of a network before a cut.

        Args:
            groups: its channel groups.
            group: the one that is cut.
            removed: the channels (roots) that go.

        Returns:
            What trains the block after the cut, or None where it has nothing to train.
        """
        block = block_around(groups, group, removed)
        steps = [groups.trace.steps[number] for number in block.steps]
        if not block.outputs or not any(one.trainable_variables for one in _layers(steps)):
            return None
        return BlockTask(self, groups, block, seen_on(groups, block, self.data, self.batch_size))


class BlockTask:
    """One block that is to be trained.

    Args:
        settings: how.
        groups: the channel groups before the cut.
        block: the block there.
        seen: what it read and made.
    """

    def __init__(
        self, settings: BlockTraining, groups: ChannelGroups, block: Block, seen: Activations
    ) -> None:
        self.settings = settings
        self.before = groups
        self.block = block
        self.seen = seen

    def train(self, groups: ChannelGroups) -> None:
        """Trains the block of the network after the cut.

        Args:
            groups: the channel groups after the cut.
        """
        keys, arrays = _renamed(self.before, groups), self.seen.arrays()
        inputs, outputs = self.block.inputs, self.block.outputs
        made = [arrays[key] for key in outputs]
        epochs = self.settings.epochs
        examples = _Examples([arrays[key] for key in inputs], made, self.settings.batch_size)
        with scope_of(self.settings.model):
            part = _Part(
                [groups.trace.steps[number] for number in self.block.steps],
                [keys[key] for key in inputs],
                [keys[key] for key in outputs],
            )
            rate = _learning_rate(part)
            falling = keras.optimizers.schedules.CosineDecay(rate, epochs * len(examples))
            part.compile(
                keras.optimizers.Adam(falling),
                loss=["mse"] * len(made),
                loss_weights=[1 / max(float(np.var(one[:_LOOKED_AT])), _LEAST) for one in made],
                jit_compile=False,
            )
        held = [(one, keras.ops.copy(one.value)) for one in _weights(part)]
        cut = part.evaluate(examples, verbose=0, return_dict=True)["loss"]
        trained = part.fit(examples, epochs=epochs, verbose=0).history["loss"][-1]
        if not trained < cut:
            for variable, value in held:
                variable.assign(value)


class _Part(keras.Model):
    """Some steps of a graph as a model of their own, on the very layers.

    Args:
        steps: in order.
        inputs, outputs: keys of what is read and made.
    """

    def __init__(self, steps: list[Step], inputs: list[int], outputs: list[int]) -> None:
        super().__init__(name="block", autocast=False)
        self.parts = _layers(steps)
        # In a function, since Keras would look for layers in a list.
        self._found = lambda given: _run(steps, dict(zip(inputs, given, strict=True)), outputs)
        self.built = True

    def call(self, inputs):
        return self._found(inputs)


class _Examples(keras.utils.PyDataset):
    """What a block reads and makes, in another order in every epoch."""

    def __init__(
        self, inputs: list[np.ndarray], outputs: list[np.ndarray], batch_size: int
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.batch_size = inputs, outputs, batch_size
        self.generator = np.random.default_rng(0)
        self.order = self.generator.permutation(len(outputs[0]))

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[tuple, tuple]:
        at = np.sort(self.order[index * self.batch_size : (index + 1) * self.batch_size])
        return tuple(one[at] for one in self.inputs), tuple(one[at] for one in self.outputs)

    def on_epoch_end(self) -> None:
        self.generator.shuffle(self.order)


def _weights(part: _Part) -> list[Any]:
    return [one for layer in part.parts for one in layer.weights]


def _learning_rate(part: _Part) -> float:
    """The size of a step of Adam that suits the smallest weights."""
    kernels = [one.value for one in part.trainable_variables if len(one.shape) > 1]
    sizes = [
        float(np.linalg.norm(np.asarray(array_of(one), "float32"))) / math.prod(one.shape) ** 0.5
        for one in kernels
    ]
    return min([_LEARNING_RATE, *(_STEP * size for size in sizes if size > 0)])


def _run(steps: list[Step], given: dict[int, Any], outputs: list[int]) -> list[Any]:
    made: dict[int, Any] = {}
    for step in steps:
        # What is made here and read again, as behind a residual path, is read as it was before.
        made.update(run_step(step, {**made, **given}))
    return [keras.ops.cast(made[key], "float32") for key in outputs]


def _layers(steps: list[Step]) -> list[keras.Layer]:
    return [one.call.operation for one in steps if isinstance(one.call.operation, keras.Layer)]


def _renamed(before: ChannelGroups, after: ChannelGroups) -> dict[int, int]:
    """Keys before a cut to those after it: cuts change widths only."""
    keys = dict(zip(before.trace.inputs, after.trace.inputs, strict=True))
    for one, other in zip(before.trace.steps, after.trace.steps, strict=True):
        keys.update(zip(one.call.inputs, other.call.inputs, strict=True))
        keys.update(zip(one.call.outputs, other.call.outputs, strict=True))
    return keys
