"""Where a reader can keep a constant: in its bias, or in the normalisation behind it."""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Binding, ChannelGroups

layers = keras.layers


def constant_holder(groups: ChannelGroups, binding: Binding) -> tuple[Any, int] | None:
    """Finds the variable that holds a constant which a layer adds to what it computes.

    Args:
        groups: the channel groups.
        binding: the kernel of the layer.

    Returns:
        The layer's bias and 1, or the moving mean of the `BatchNormalization` that alone follows
        the layer and -1; None where there is neither.
    """
    layer = binding.layer
    if layer.bias is not None:
        return layer.bias, 1
    made = {key for call in groups.trace.calls if call.operation is layer for key in call.outputs}
    after = [call.operation for call in groups.trace.calls if made & set(call.inputs)]
    norm: Any = after[0] if len(after) == 1 else None
    alone = sum(call.operation is norm for call in groups.trace.calls) == 1
    if type(norm) is layers.BatchNormalization and alone and not made & set(groups.trace.outputs):
        (key,) = made
        ndim = len(groups.trace.shape(key))
        own = 1 if getattr(layer, "data_format", "") == "channels_first" else ndim - 1
        linear = layer.activation in (None, keras.activations.linear)
        if linear and norm.axis % ndim == own:
            return norm.moving_mean, -1
    return None


def needed_holder(groups: ChannelGroups, binding: Binding, argument: str) -> tuple[Any, int]:
    """The same, for an argument that cannot do without.

    Raises:
        UnsupportedModelError: when there is none.
    """
    found = constant_holder(groups, binding)
    if found is None:
        raise UnsupportedModelError(
            f"{argument} needs a bias in {binding.name!r}, or a BatchNormalization right behind "
            "it, to fold into. Leave it out, or build the layer with use_bias=True."
        )
    return found
