"""What TF-MOT puts into the twin: wrappers and quantizers of its own.

Imports TF-MOT, so it is imported late itself.
"""

from typing import Any

import tf_keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.environment import tf_mot

_library = tf_mot().quantization.keras


# Activations that TF-MOT rounds itself, behind or in front of them.
_ROUNDED = {"linear", "relu", "swish", "gelu", "softmax", "sigmoid", "tanh", "NoOpActivation"}


# They are several operations, between which the converter would keep floats if one were rounded.
_SEVERAL = (tf_keras.layers.Rescaling,)


class OutputOnly(_library.QuantizeConfig):
    """For layers or activations that TF-MOT has no configuration for: what they return is rounded.

    Args:
        kernels: a configuration of TF-MOT that says how weights are rounded; with None, they are
            rounded when the file is written.
    """

    def __init__(self, kernels: Any = None):
        self.kernels = kernels

    def get_weights_and_quantizers(self, layer):
        return [] if self.kernels is None else self.kernels.get_weights_and_quantizers(layer)

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        if self.kernels is not None:
            self.kernels.set_quantize_weights(layer, quantize_weights)

    def set_quantize_activations(self, layer, quantize_activations):
        return None

    def get_output_quantizers(self, layer):
        return [
            _library.quantizers.MovingAverageQuantizer(
                num_bits=8, per_axis=False, symmetric=False, narrow_range=False
            )
        ]

    def get_config(self):
        return {"kernels": self.kernels}


class _Filled(_library.QuantizeRegistry):
    """A registry of TF-MOT that has an answer for every layer.

    Attributes:
        late: names of the layers whose kernels are not rounded in training.
    """

    def __init__(self, registry: Any):
        self._registry = registry
        self.late: list[str] = []

    def supports(self, layer):
        return True

    def get_quantize_config(self, layer):
        if self._registry.supports(layer):
            config = self._registry.get_quantize_config(layer)
            activation = getattr(layer, "activation", None)
            # TF-MOT puts in an object of its own where an activation is to be left alone.
            name = getattr(activation, "__name__", type(activation).__name__)
            known = activation is None or name in _ROUNDED
            return config if known else OutputOnly(config)
        if any(one.name.endswith(("kernel:0", "embeddings:0")) for one in layer.weights):
            self.late.append(layer.name)
        return OutputOnly()


class _Scheme(_library.QuantizeScheme):
    """A scheme of TF-MOT with that registry."""

    def __init__(self, scheme: Any):
        self._scheme = scheme
        self.registry = _Filled(scheme.get_quantize_registry())

    def get_layout_transformer(self):
        return self._scheme.get_layout_transformer()

    def get_quantize_registry(self):
        return self.registry


def fake_quantized(model, configs: dict[str, Any], scheme: Any) -> tuple[Any, list[str]]:
    """Has TF-MOT quantize a model of tf_keras.

    Args:
        model: the model, which keeps its weights.
        configs: the layers to quantize, by name, each with a `QuantizeConfig` of TF-MOT, or None
            for that of the scheme.
        scheme: a `QuantizeScheme` of TF-MOT, or None for its default.

    Returns:
        The model that TF-MOT made, and the names of the layers whose kernels it does not round.

    Raises:
        UnsupportedModelError: when TF-MOT refuses, or an input is not of floats.
    """
    left_out = {layer.name for layer in model.layers if isinstance(layer, _SEVERAL)}
    configs = {name: one for name, one in configs.items() if one or name not in left_out}
    _check_inputs(model, set(configs))
    filled = _Scheme(scheme or _library.default_8bit.Default8BitQuantizeScheme())
    own = {type(one).__name__: type(one) for one in configs.values() if one is not None}

    def annotated(layer):
        if layer.name not in configs:
            return layer
        return _library.quantize_annotate_layer(layer, configs[layer.name])

    try:
        with _library.quantize_scope(own):
            marked = tf_keras.models.clone_model(model, clone_function=annotated)
            made = _library.quantize_apply(marked, filled)
    except Exception as error:  # TF-MOT raises what its layers, transforms and quantizers raise.
        raise UnsupportedModelError(
            f"Expected a model that TF-MOT quantizes. Received: {model.name!r}, of which it says "
            f"{type(error).__name__}: {error} Leave the layer out by `layers`, or give a "
            "QuantizeConfig for it in `configs`."
        ) from error
    return made, filled.registry.late


def _check_inputs(model, quantized: set[str]) -> None:
    """TF-MOT rounds every input that a quantized layer reads, and rounds nothing but floats."""
    for name, tensor in zip(model.input_names, model.inputs, strict=True):
        calls = model.get_layer(name).outbound_nodes
        readers = {call.outbound_layer.name for call in calls} & quantized
        if readers and not tensor.dtype.is_floating:
            raise UnsupportedModelError(
                "Expected inputs of floats where TF-MOT quantizes what reads them. Received: "
                f"{name!r}, which is {tensor.dtype.name} and read by "
                f"{', '.join(sorted(readers))}. Take QuantizeAwareCallback(engine='keras'), or "
                "give `layers` without those that read it."
            )
