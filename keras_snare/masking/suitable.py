"""Which kernels can take a pattern, and the axes that they sum over."""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import PRODUCER, READER, axis_key, channel_groups
from keras_snare.masking.kernels import Kernel, kernels_of
from keras_snare.masking.patterns import NOfM, Pattern


def suitable_kernels(
    model: keras.Model, pattern: Pattern, layers: Any = None
) -> tuple[list[Kernel], dict[str, int | None]]:
    """Returns the kernels that a pattern suits, and by name the axis that each sums over.

    The axes are found for a pattern that needs them only.

    Args:
        model: a built Keras model.
        pattern: how connections stand together.
        layers: which layers, as `SnareCallback` takes them.

    Raises:
        UnsupportedModelError: when the model has no connections that can be pruned so.
        ValueError: when `layers` matches none, or names one that does not suit the pattern.
    """
    kernels = kernels_of(model, layers)
    found = reading_axes(model) if isinstance(pattern, NOfM) else {}
    axes = {one.name: found.get(id(one.variable)) for one in kernels}
    reasons = {one.name: pattern.check(one, axes[one.name]) for one in kernels}
    unfit = {name: reason for name, reason in reasons.items() if reason is not None}
    if layers is not None and unfit:
        name, reason = next(iter(unfit.items()))
        raise ValueError(
            f"{pattern!r} does not suit {name!r}: {reason}. Leave the layer out of "
            "`layers`, or give another pattern."
        )
    suitable = [one for one in kernels if one.name not in unfit]
    if not suitable:
        listed = "; ".join(f"{name}: {reason}" for name, reason in unfit.items())
        raise UnsupportedModelError(f"{pattern!r} suits no kernel of the model ({listed}).")
    return suitable, axes


def reading_axes(model: keras.Model) -> dict[int, int]:
    """Returns by id of a variable the axis over which it sums up channels that it reads.

    Depthwise kernels sum over none.

    Raises:
        UnsupportedModelError: when no graph of the model is to be had.
    """
    axes: dict[int, dict[str, set[int]]] = {}
    for binding in channel_groups(model).bindings:
        key, axis = axis_key(binding.variable, binding.axis)
        # What is read from a tensor comes before what stays inside of a layer.
        role = "tensor" if binding.role == READER and binding.source is not None else binding.role
        axes.setdefault(key, {}).setdefault(role, set()).add(axis)
    found = {}
    for kernel in kernels_of(model):
        roles, ndim = axes.get(id(kernel.variable), {}), len(kernel.shape)
        # What a model's own inputs feed has no channels that are followed; nor has a wall's kernel.
        made = roles.get(PRODUCER, {ndim - 1})
        reads = roles.get("tensor") or roles.get(READER) or {ndim - 2, ndim - 1} - made
        if not _is_depthwise(kernel):
            found[id(kernel.variable)] = max(reads)
    return found


def _is_depthwise(kernel: Kernel) -> bool:
    kinds = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
    return isinstance(kernel.owner, kinds) or kernel.variable.name == "depthwise_kernel"
