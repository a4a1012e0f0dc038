"""Which layers of a model are quantized in training."""

from typing import Any

from keras_snare.policy import means
from keras_snare.quantize.planning import PlannedCall, planned


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
        name: configs.get(call.call.name) if _is_main(call, name) else None
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


def _is_main(call: PlannedCall, name: str) -> bool:
    """Tells whether a configuration is for this part of what a layer has become."""
    part = call.parts[call.names.index(name)]
    return len(call.parts) == 1 or bool(part.weights)
