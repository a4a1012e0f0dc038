"""What a removed unit still fed its readers when nothing came in: a constant, which they can keep.

A unit whose incoming weights are zero gives the activation of its bias, passed on through whatever
stands between it and its readers. They multiply that by their weights and add it up: the same
number for every example, which their biases can hold.
"""

from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import PRODUCER, READER, Binding, Call, ChannelGroups
from keras_snare.surgery.biases import needed_holder
from keras_snare.surgery.probing import probed

layers = keras.layers
_READERS = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)


def constants(groups: ChannelGroups, removed: np.ndarray) -> list[tuple[Any, np.ndarray]]:
    """Computes what readers lose with the channels `removed` (roots), before these are cut.

    The sum is exact where a reader sees the constant at all of its taps, so not at the border of a
    convolution that pads.

    Returns:
        Pairs of a variable and what has to be added to it: the bias of a reader, or the moving mean
        of the `BatchNormalization` that alone follows a reader without bias.

    Raises:
        UnsupportedModelError: when a reader has neither, is of a kind that is not covered, or sees
            no constant.
    """
    reading = [
        one
        for one in groups.bindings
        if one.role == READER and not groups.kept(one.labels, removed).all()
    ]
    seen = [_what_is_read(groups, removed, reading, seed) for seed in (0, 1)]
    sums: dict[int, tuple[Any, int, Binding, dict]] = {}
    for binding in reading:
        key = (id(binding.layer), binding.source)
        gone = ~groups.kept(binding.labels, removed)
        along: Any = binding.source_axis
        values = [np.moveaxis(one[key], along, 0)[gone] for one in seen if key in one]
        values = [one.reshape(len(one), -1) for one in values]
        if not values or type(binding.layer) not in _READERS:
            raise UnsupportedModelError(
                f"fold_constants=True cannot fold into {binding.name!r} "
                f"({type(binding.layer).__name__}); it covers Dense and convolution layers. Leave "
                "fold_constants out, or the layers that it reads."
            )
        spread = np.ptp(np.concatenate(values, axis=1), axis=1)
        if spread.max() > 1e-4 * (1 + np.abs(values[0]).max()):
            raise UnsupportedModelError(
                f"fold_constants=True: what {binding.name!r} reads of the removed units is not the "
                "same for all inputs and positions, since something in between mixes units or "
                "treats positions apart. Leave it out."
            )
        kernel = np.moveaxis(keras.ops.convert_to_numpy(binding.variable), binding.axis, -2)
        taps = kernel[..., gone, :].reshape(-1, gone.sum(), kernel.shape[-1])
        lost = np.einsum("tcf,c->f", taps, values[0].mean(axis=1))
        if np.abs(lost).max(initial=0) > 0:
            target, sign = needed_holder(groups, binding, "fold_constants=True")
            _, _, _, found = sums.setdefault(id(target), (target, sign, binding, {}))
            found[key] = found.get(key, 0.0) + lost
    return [_once(groups, *entry) for entry in sums.values()]


def _once(groups, target, sign: int, binding: Binding, lost: dict) -> tuple[Any, np.ndarray]:
    """What each call of a reader loses, which has to be the same."""
    calls = [call for call in groups.trace.calls if call.operation is binding.layer]
    amounts = list(lost.values())
    if len(amounts) < len(calls) or any(np.abs(one - amounts[0]).max() > 1e-4 for one in amounts):
        raise UnsupportedModelError(
            f"fold_constants=True: {binding.name!r} is called several times and does not lose the "
            "same in each call. Leave it out."
        )
    return target, sign * amounts[0]


def _what_is_read(groups, removed, reading, seed: int) -> dict[tuple, Any]:
    """Runs the graph on random inputs, with no weight left that makes the removed channels."""
    silent: dict[int, tuple[Any, np.ndarray]] = {}
    for one in groups.bindings:
        gone = ~groups.kept(one.labels, removed)
        if one.role == PRODUCER and len(one.variable.shape) > 1 and gone.any():
            _, value = silent.setdefault(
                id(one.variable), (one.variable, np.array(one.variable.numpy()))
            )
            np.moveaxis(value, one.axis, 0)[gone] = 0
    wanted = {(id(one.layer), one.source) for one in reading}
    found = {}

    def read(call: Call, key: int, value: Any) -> Any:
        if (id(call.operation), key) in wanted:
            found[id(call.operation), key] = keras.ops.convert_to_numpy(value)
        return value

    probed(groups, silent.values(), seed, read)
    return found
