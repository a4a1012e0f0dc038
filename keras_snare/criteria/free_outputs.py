"""The free numbers that a last softmax or sigmoid makes a model's outputs of."""

from typing import Any

import keras

from keras_snare.graph import Trace, last_activation, last_operation
from keras_snare.graph.trace import mask_of, masked

layers = keras.layers
# Their activation is the last thing that they do, along the last axis.
_LAST = (
    *(layers.Activation, layers.Dense, layers.EinsumDense),
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D),
    *(layers.SeparableConv1D, layers.SeparableConv2D),
)
_LEAST = 1e-7


class FreeOutputs:
    """A model's outputs as free numbers, and back.

    Of a softmax along the last axis these are logarithms of probabilities: logits, but for a
    constant in each row that has no effect; of a sigmoid, logits; else the outputs themselves.

    Args:
        graph: the model's.
    """

    def __init__(self, graph: Trace) -> None:
        self._graph = graph
        self._forms = [_form(graph, at) for at, _ in enumerate(graph.outputs)]

    def free(self, outputs: list[Any]) -> list[Any]:
        """Returns the free numbers, as float32."""
        pairs = zip(self._forms, outputs, strict=True)
        return [_free(form, keras.ops.cast(one, "float32")) for form, one in pairs]

    def bound(self, free: list[Any], outputs: list[Any]) -> Any:
        """Returns the outputs that they make, in the structure, the types and masks of others."""
        known = {"softmax": keras.ops.softmax, "sigmoid": keras.ops.sigmoid}
        found = []
        for form, one, output in zip(self._forms, free, outputs, strict=True):
            made = known[form](one) if form in known else one
            found.append(masked(keras.ops.cast(made, output.dtype), mask_of(output)))
        return keras.tree.pack_sequence_as(self._graph.structure, found)


def _form(graph: Trace, at: int) -> str:
    operation, name = last_operation(graph, at), last_activation(graph, at)
    if isinstance(operation, layers.Layer) and not isinstance(operation, layers.Softmax):
        known = any(type(operation).call is kind.call for kind in _LAST)
        return name if known else ""
    last = len(graph.shape(graph.outputs[at])) - 1
    if name == "softmax" and getattr(operation, "axis", None) not in (-1, last):
        return ""
    return name


def _free(form: str, output: Any) -> Any:
    if form == "softmax":
        return keras.ops.log(keras.ops.maximum(output, 1e-37))
    if form == "sigmoid":
        output = keras.ops.clip(output, _LEAST, 1 - _LEAST)
        return keras.ops.log(output) - keras.ops.log(1 - output)
    return output
