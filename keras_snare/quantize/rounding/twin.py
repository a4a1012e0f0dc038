"""A model in Keras 3, and the same network with rounded weights and activations."""

from itertools import chain, repeat
from typing import Any

import keras
from keras import ops

from keras_snare.graph import Trace
from keras_snare.policy import means
from keras_snare.quantize.names import Names, cleaned
from keras_snare.quantize.rounding.layer import CopiedCall, RoundedCall
from keras_snare.quantize.rounding.outputs import outputs_of
from keras_snare.quantize.rounding.ranges import Mode, Range
from keras_snare.quantize.rounding.suitable import suitable_graph
from keras_snare.quantize.serving import recurrent
from keras_snare.quantize.stand_in import StandIn


class RoundedTwin(StandIn):
    """A Keras model with the same calls as another one, rounded as LiteRT will round them.

    Args:
        model: a built model.
        layers: which layers are rounded, as `QuantizeAwareCallback` takes them.

    Raises:
        UnsupportedModelError: when the model is not built, subclassed or not in float32.
        ValueError: when `layers` name no layer.
    """

    def __init__(self, model, layers: Any):
        graph = suitable_graph(model)
        self._mode = Mode()
        quantized = _rounded(model.name, graph, _chosen(graph, layers), self._mode)
        super().__init__(model, quantized)
        self._calls = [one for one in quantized.layers if isinstance(one, CopiedCall)]
        self._copy_weights()

    def share(self) -> None:
        self._mode.shared = True

    def part(self) -> None:
        self._mode.shared = False
        self._copy_weights()

    def calibrate(self, batches: list[list[Any]]) -> None:
        ways = chain([_new], repeat(_wider))
        try:
            for batch, self._mode.way in zip(batches, ways, strict=False):
                self._run([ops.convert_to_tensor(one) for one in batch], False)
        finally:
            self._mode.way = None

    def follow_weights(self, batch: list[Any]) -> None:
        # The ranges of kernels follow them at every step, and when the network parts.
        return None

    def _copy_weights(self) -> None:
        for call in self._calls:
            call.copy_weights()


def has_recurrent(quantized: keras.Model) -> bool:
    """Tells whether a rounded network computes anything step by step."""
    held = [one.operation for one in quantized.layers if isinstance(one, CopiedCall)]
    return any(recurrent(one) for one in held if isinstance(one, keras.layers.Layer))


def _new(before: Any, found: Any, widest: Any) -> Any:
    return found


def _wider(before: Any, found: Any, widest: Any) -> Any:
    return widest(before, found)


def _chosen(graph: Trace, layers: Any) -> set[int]:
    """The numbers of the calls that are rounded."""
    found = {
        at
        for at, call in enumerate(graph.calls)
        if layers is None or means(layers, call.name, call.operation)
    }
    if not found:
        known = ", ".join(call.name for call in graph.calls)
        raise ValueError(
            f"Expected `layers` that name at least one layer. Received: {layers!r}. Layers: "
            f"{known}."
        )
    return found


def _rounded(name: str, graph: Trace, chosen: set[int], mode: Mode) -> keras.Model:
    """The rounded network as a functional model."""
    names, outputs, copies = Names(), outputs_of(graph), {}
    read = {key for at in chosen for key in graph.calls[at].inputs}
    inputs = [_input(graph.tensors[key][0], names) for key in graph.inputs]
    values: dict[int, Any] = {}
    for key, one in zip(graph.inputs, inputs, strict=True):
        layer = _RoundedInput(names.new("quantize_layer"), mode) if key in read else None
        values[key] = one if layer is None else layer(one)
    for at, call in enumerate(graph.calls):
        specs = [(graph.shapes[key], graph.tensors[key][0].dtype) for key in call.outputs]
        settings = {"mode": mode, "copies": copies}
        if at in chosen:
            own = names.new(f"quant_{call.name}")
            layer = RoundedCall(call, specs, outputs[at], name=own, **settings)
        else:
            layer = CopiedCall(call, specs, name=names.new(call.name), **settings)
        found = layer([values[key] for key in call.inputs])
        values.update(zip(call.outputs, found, strict=True))
    start = inputs if len(inputs) > 1 else inputs[0]
    return keras.Model(start, [values[key] for key in graph.outputs], name=cleaned(name))


def _input(tensor, names: Names) -> Any:
    # Where the user gave none, Keras counts symbolic tensors.
    name = "input" if tensor.name.startswith("keras_tensor") else tensor.name
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=names.new(name))


class _RoundedInput(keras.layers.Layer):
    """Rounds what comes into the network."""

    def __init__(self, name: str, mode: Mode):
        super().__init__(name=name, dtype="float32", trainable=False, autocast=False)
        self._range = Range(self, "input", mode)

    def call(self, inputs, training=None):
        return self._range(inputs, bool(training))

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)
