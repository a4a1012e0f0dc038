"""How much flow each channel of a group has."""

from collections.abc import Iterable

import keras
import numpy as np

from keras_snare.criteria.evidence import ChannelEvidence, is_kernel
from keras_snare.criteria.flow.measuring import synaptic_flow
from keras_snare.graph import PRODUCER, ChannelGroup


def flow_of_units(
    model: keras.Model, chosen: Iterable[ChannelGroup], size: int = 128
) -> dict[str, np.ndarray]:
    """Returns the flow into every channel: the sum over the weights that produce it.

    Of a group that no weight produces, such as selected inputs, it is the flow out of it.

    Args:
        model: a built Keras model.
        chosen: the groups.
        size: int, length of the axes of inputs, batch axis aside, that the model leaves open.

    Returns:
        Group name to array `(width,)`.
    """
    evidence = {group.name: ChannelEvidence(group) for group in chosen}
    held = [member.binding.variable for one in evidence.values() for member in one.group.members]
    kernels = {id(variable): variable for variable in held if is_kernel(variable)}
    flows = dict(zip(kernels, synaptic_flow(model, kernels.values(), size), strict=True))
    found = {}
    for name, one in evidence.items():
        arrays = one.arrays(one.role(PRODUCER), is_kernel, lambda variable: flows[id(variable)])
        found[name] = sum((array.sum(axis=1) for array in arrays), np.zeros(one.width))
    return found
