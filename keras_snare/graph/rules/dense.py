"""Dense layers and the selection of input features."""

import keras

from keras_snare.graph.rules.activation import activated
from keras_snare.graph.rules.table import row
from keras_snare.graph.view import CallView
from keras_snare.layers import FeatureSelection


def has_adapter(layer: keras.layers.Layer) -> bool:
    """Tells whether a layer's kernel is quantized or carries LoRA matrices."""
    return bool(getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None))


def adapter_wall(view: CallView) -> bool:
    """Freezes what a quantized or LoRA-adapted layer reads; tells whether it did."""
    if has_adapter(view.layer):
        view.freeze_other_axes((), "is quantized or carries LoRA matrices")
    return has_adapter(view.layer)


@row(keras.layers.Dense)
def dense(view: CallView):
    layer, last = view.layer, view.axis(-1)
    if adapter_wall(view):
        return [{}]
    passed = {axis: labels for axis, labels in view.inputs[0].items() if axis != last}
    read = view.read(layer.kernel, 0, last)
    units = view.produce(layer.units, (layer.kernel, 1), (layer.bias, 0))
    axes = activated(view, layer.activation, {**passed, last: units})
    factors = [view.positions(view.output_shapes[0], last, *passed), *passed.values()]
    view.count(2, *factors, view.input_shapes[0][last] if read is None else read, units)
    if layer.bias is not None:
        view.count(1, *factors, units)
    return [axes]


@row(FeatureSelection)
def feature_selection(view: CallView):
    view.freeze_other_axes((), "selects among it already")
    selected = view.produce(len(view.layer.indices))
    view.state(view.axis(-1), selected)
    return [{view.axis(-1): selected}]
