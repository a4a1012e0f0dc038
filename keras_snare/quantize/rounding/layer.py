"""One call of a layer, or of a function, with rounded weights and a rounded result."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import keras

from keras_snare.graph import Call
from keras_snare.graph.opening import replaced
from keras_snare.quantize.rounding.activations import FUSED, activation_of
from keras_snare.quantize.rounding.forms import ACTIVATION_FORMS, call_of, steps_of
from keras_snare.quantize.rounding.inside import calls_inside, steps_inside
from keras_snare.quantize.rounding.kernels import Axes, kernels_of
from keras_snare.quantize.rounding.numbers import rounded
from keras_snare.quantize.rounding.outputs import Output
from keras_snare.quantize.rounding.ranges import Mode, Range
from keras_snare.quantize.rounding.weights import Weights


class CopiedCall(keras.layers.Layer):
    """Computes what one call in the model computes, with the layer that the model has.

    Args:
        call: the call.
        specs: the shape and dtype of each of its outputs.
        name: str, its own name.
        mode: that of the network.
        copies: as of `Weights`.
    """

    def __init__(self, call: Call, specs: list[Any], name: str, mode: Mode, copies: dict[int, Any]):
        super().__init__(name=name, dtype="float32", trainable=False, autocast=False)
        self.supports_masking = True
        self._call = call
        self._specs = specs
        self._weights = Weights(call.operation, self._kernels(), mode, copies, self.add_weight)

    @property
    def operation(self) -> Any:
        """The layer, or function, of the model."""
        return self._call.operation

    def call(self, inputs, training=None):
        values = dict(zip(self._call.inputs, inputs, strict=True))
        return self._computed(values, bool(training))

    def compute_output_spec(self, inputs, training=None):
        return [keras.KerasTensor(shape, dtype=dtype) for shape, dtype in self._specs]

    def compute_mask(self, inputs, previous_mask):
        # Where the layer's own result has a mask, it is there already.
        return None

    def copy_weights(self) -> None:
        """Takes the values that the weights of the model have now."""
        self._weights.copy()

    def _kernels(self) -> list[tuple[Any, Axes]]:
        return []

    def _computed(self, values: dict[int, Any], training: bool) -> list[Any]:
        with self._weights.shown(training):
            return self._call.run(values, training)


class RoundedCall(CopiedCall):
    """The same, with kernels, what goes into its activation, and its result rounded to 8 bits.

    Args:
        call, specs, mode: as of `CopiedCall`.
        output: what becomes of the result.
        **settings: the others of `CopiedCall`.
    """

    def __init__(self, call: Call, specs: list[Any], output: Output, mode: Mode, **settings: Any):
        super().__init__(call, specs, mode=mode, **settings)
        self._inner = Range(self, "pre_activation", mode) if _has_inner(call.operation) else None
        steps = (*steps_of(call.operation), *steps_inside(call.operation))
        self._steps = {name: Range(self, name, mode) for name in steps}
        self._fixed = output.fixed
        ranged = output.rounded and output.fixed is None
        names = ["output"] + [f"output_{at}" for at in range(1, len(specs))]
        self._ranges = [Range(self, name, mode) for name in names if ranged]

    def _kernels(self) -> list[tuple[Any, Axes]]:
        return kernels_of(self._call.operation)

    def _computed(self, values: dict[int, Any], training: bool) -> list[Any]:
        with ExitStack() as stack:
            for holder, name, instead in self._instead(training):
                stack.enter_context(replaced(holder, name, instead))
            found = super()._computed(values, training)
        if self._fixed is not None:
            return [rounded(one, *self._fixed) for one in found]
        if not self._ranges:
            return found
        return [one(x, training) for one, x in zip(self._ranges, found, strict=True)]

    def _instead(self, training: bool) -> Iterator[tuple[Any, str, Any]]:
        """What stands in for which attributes while the operation computes."""
        operation = self._call.operation
        for part, call in calls_inside(operation, self._steps, training):
            yield part, "call", call
        call = call_of(operation, self._steps, training)
        if call is not None:
            yield operation, "call", call
        own = vars(operation).get("activation")
        form = ACTIVATION_FORMS.get(activation_of(operation), own)
        inner = self._inner
        if form is not None and inner is not None:
            yield operation, "activation", lambda x: form(inner(x, training))
        elif form is not own and isinstance(operation, keras.layers.Activation):
            yield operation, "activation", form


def _has_inner(operation: Any) -> bool:
    """Tells whether a layer applies a function to something that LiteRT rounds before."""
    held = vars(operation).get("activation") is not None
    alone = isinstance(operation, keras.layers.Activation)
    return held and not alone and activation_of(operation) not in ("linear", *FUSED)
