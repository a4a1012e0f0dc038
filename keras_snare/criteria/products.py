"""Weight times gradient, summed per channel: what the loss hears of a channel, by the weights.

For the weights that read a channel, the sum equals activation times gradient, summed over the batch
and all positions.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.criteria.evidence import columns, hearing
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import ChannelGroup, axis_key


@dataclass(frozen=True, eq=False)
class Tap:
    """One kernel that reads channels: how its products are summed per channel."""

    variable: Any
    axis: int
    positions: np.ndarray
    valid: np.ndarray

    def sums(self, gradient: Any) -> Any:
        """Returns the sum of weight times gradient per channel."""
        products = keras.ops.cast(self.variable, "float32") * keras.ops.cast(gradient, "float32")
        others = [axis for axis in range(len(self.variable.shape)) if axis != self.axis]
        along = keras.ops.sum(products, axis=others)
        if self.positions.shape[1] == 1 and self.valid.all():
            ordered = np.array_equal(self.positions[:, 0], np.arange(len(self.positions)))
            if ordered and len(self.positions) == along.shape[0]:
                return along
        gathered = keras.ops.take(along, self.positions.reshape(-1), axis=0)
        gathered = keras.ops.reshape(gathered, self.positions.shape)
        return keras.ops.sum(gathered * self.valid.astype("float32"), axis=1)

    def spread(self, figures: Any) -> Any:
        """Returns every weight times the figure of its channel; 0 where it belongs to none."""
        length, width = self.variable.shape[self.axis], len(self.positions)
        channels = np.full(length, width)
        channels[self.positions[self.valid]] = np.nonzero(self.valid)[0]
        factors = keras.ops.take(keras.ops.append(figures, 0.0), channels, axis=0)
        shape = [length if axis == self.axis else 1 for axis in range(len(self.variable.shape))]
        return keras.ops.cast(self.variable, "float32") * keras.ops.reshape(factors, shape)


def products(taps: list[Tap], gradients: dict[int, Any], scale: float | Any = 1.0) -> Any | None:
    """Returns the sums of weight times gradient, or None where no gradient was found.

    Args:
        taps: of one group.
        gradients: gradient by id of the variable.
        scale: what the loss was multiplied by.

    Returns:
        Tensor `(1, 1, channels)`, as from one example of one position.
    """
    parts = [tap.sums(gradients[id(tap.variable)]) for tap in taps if id(tap.variable) in gradients]
    if not parts:
        return None
    total = sum(parts[1:], parts[0]) / keras.ops.cast(scale, "float32")
    return keras.ops.reshape(total, (1, 1, -1))


def taps_of(group: ChannelGroup, trained: set[int] | None = None) -> list[Tap]:
    """Returns the kernels by which a group is scored.

    Args:
        group: the channels.
        trained: ids of the variables that have gradients; None where all have.

    Raises:
        UnsupportedModelError: when one of the kernels has no gradient.
    """
    taps: dict[tuple[int, int], Tap] = {}
    for member in hearing(group):
        binding = member.binding
        if trained is not None and id(binding.variable) not in trained:
            raise UnsupportedModelError(
                f"Layer {binding.name!r}, by whose weights layer {group.name!r} is scored, is "
                "not trained, so training gives no gradient to score them by. Give "
                "`scoring_data=(x, y)`, choose a criterion on weights such as 'l1_in', or leave "
                "the layer out with `layers=`."
            )
        key = axis_key(binding.variable, binding.axis)
        taps[key] = Tap(binding.variable, key[1], *columns(member.channels, group.width))
    return list(taps.values())
