"""What a criterion sees of a group of channels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_snare.graph import PRODUCER, READER, THROUGH, ChannelGroup, Member, axis_key


def columns(channels: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds where each channel lies along an axis.

    Args:
        channels: array, per position the channel there, or -1.
        width: int, number of channels.

    Returns:
        Positions, shape `(width, most)`, and a mask of the same shape that is False where a channel
        has fewer positions than the one with the most.
    """
    order = np.argsort(channels, kind="stable")
    order = order[np.searchsorted(channels[order], 0) :]
    counts = np.bincount(channels[order], minlength=width)
    starts = np.cumsum(counts) - counts
    offsets = np.arange(max(int(counts.max(initial=0)), 1))
    valid = offsets[None, :] < counts[:, None]
    at = np.where(valid, starts[:, None] + offsets[None, :], 0)
    return (order[at] if order.size else np.zeros_like(at)), valid


def by_channel(array: np.ndarray, axis: int, channels: np.ndarray, width: int) -> np.ndarray:
    """Arranges an array as `(width, everything that belongs to the channel)`, padded with zeros."""
    rows = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)
    if np.array_equal(channels, np.arange(width)):
        return rows
    positions, valid = columns(channels, width)
    return (rows[positions] * valid[:, :, None]).reshape(width, -1)


def hearing(group: ChannelGroup) -> list[Member]:
    """The weights by which the loss hears a group: those that read it, else those that make it."""
    return group.with_role(READER) or group.with_role(PRODUCER)


def is_internal(group: ChannelGroup) -> bool:
    """Tells whether some weights read channels that are no tensor between two layers.

    The units of a recurrent layer feed back into it; the heads of an attention layer stay inside.
    """
    return any(member.binding.source is None for member in hearing(group))


def is_kernel(variable: Any) -> bool:
    """Tells kernels from biases and the parameters of normalisations."""
    return len(variable.shape) > 1


def is_scale(variable: Any) -> bool:
    """Tells the scales of normalisations."""
    return variable.name in ("gamma", "scale")


@dataclass(frozen=True, eq=False)
class ChannelEvidence:
    """A group of channels, its weights, and what data showed of it.

    Args:
        group: the channels.
        collected: array `(width,)`, what `statistic` answers; None for a criterion on weights.
    """

    group: ChannelGroup
    collected: np.ndarray | None = None

    @property
    def statistic(self) -> np.ndarray:
        """The mean over the examples of the criterion's `statistic`, shape `(width,)`.

        For a criterion on the network, the flow into each channel.
        """
        if self.collected is None:
            raise ValueError(
                f"Nothing was measured for layer {self.group.name!r}. Set `needs` of the "
                "criterion to 'network', 'activations', 'gradients' or 'curvature'."
            )
        return self.collected

    @property
    def width(self) -> int:
        """Number of channels."""
        return self.group.width

    def weights(self, role: str) -> list[np.ndarray]:
        """Returns the kernels that produce the channels, or that read them.

        Args:
            role: `"producer"` or `"reader"`.

        Returns:
            One array `(width, weights per channel)` per kernel; biases and normalisations are left
            out. A layer that is used several times counts once.
        """
        return self.arrays(role, is_kernel)

    def role(self, wanted: str) -> str:
        """Returns the wanted role, `"producer"` or `"reader"`, or if it has none, the other one.

        No weight makes selected input features; none reads channels that meet others in a product
        of tensors.
        """
        other = READER if wanted == PRODUCER else PRODUCER
        return wanted if self.group.with_role(wanted) else other

    def scales(self) -> list[np.ndarray]:
        """Returns the scales (gamma, or scale) of the normalisations that the channels pass.

        Returns:
            One array `(width, scales per channel)` per normalisation: several scales where the
            positions of a channel were laid side by side before it.
        """
        return self.arrays(THROUGH, is_scale)

    def arrays(
        self,
        role: str,
        wanted: Callable[[Any], bool] = lambda variable: True,
        values: Callable[[Any], Any] = lambda variable: variable.numpy(),
    ) -> list[np.ndarray]:
        """Returns the variables of a role, biases included, as `weights` does.

        Args:
            role: `"producer"`, `"reader"` or `"through"`, which are normalisations and the like.
            wanted: tells which variables.
            values: what is arranged for each variable, an array of its shape.
        """
        return [
            by_channel(
                np.asarray(values(one.binding.variable), dtype=np.float64),
                one.binding.axis,
                one.channels,
                self.width,
            )
            for one in self._members(role, wanted)
        ]

    def held(self, role: str, wanted: Callable[[Any], bool]) -> list[np.ndarray]:
        """Tells for each array of `arrays` which channels it has anything of, shape `(width,)`."""
        members = self._members(role, wanted)
        return [np.isin(np.arange(self.width), member.channels) for member in members]

    def _members(self, role: str, wanted: Callable[[Any], bool]) -> list[Member]:
        """The axes of a role; those of a layer that is used several times once."""
        found: dict[tuple[int, int], Member] = {}
        for member in self.group.with_role(role):
            if wanted(member.binding.variable):
                key = axis_key(member.binding.variable, member.binding.axis)
                found.setdefault(key, member)
        return list(found.values())
