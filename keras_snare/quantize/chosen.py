"""Which layers of a model are quantized in training."""

from typing import Any

from keras_snare.policy import means
from keras_snare.quantize.planning import planned


def chosen_layers(model, layers: Any, configs: dict[str, Any]) -> dict[str, Any]:
    """Returns the layers of the twin that are quantized, each with its configuration or None.

    Args:
        model: the model in Keras 3.
        layers: which of its layers, as `QuantizeAwareCallback` takes them.
        configs: `QuantizeConfig`s of TF-MOT by name of a layer, which is among them in any case.

    Raises:
        ValueError: when `layers` or `configs` name no layer.
    """
    calls = planned(model).calls
    known = [call.call.name for call in calls]
    wrong = [name for name in configs if name not in known]
    if wrong:
        raise ValueError(
            f"Expected names of layers in `configs`. Received: {wrong[0]!r}. Layers: "
            f"{', '.join(known)}."
        )
    found = {
        name: configs.get(call.call.name)
        for call in calls
        if layers is None
        or call.call.name in configs
        or means(layers, call.call.name, call.call.operation)
        for name in call.names
    }
    if not found:
        raise ValueError(
            f"Expected `layers` that name at least one layer. Received: {layers!r}. Layers: "
            f"{', '.join(known)}."
        )
    return found
