"""What stands in for a model's `call` while it trains quantized, whoever quantized it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import keras


class StandIn(ABC):
    """A quantized network that computes in the place of a model, with the weights of the model.

    Args:
        model: the model.
        quantized: the quantized network; it takes the inputs of the model and returns its outputs
            flat, in their order.

    Attributes:
        quantized: the network.
        late: names of layers whose kernels are rounded in the file only.
    """

    def __init__(self, model, quantized: Any):
        self.quantized = quantized
        self.late: list[str] = []
        self._seen: list[Any] | None = None
        self._shadow = _shadow(model, self._run)

    @abstractmethod
    def share(self) -> None:
        """Has the network compute with the variables of the model, not with its own."""

    @abstractmethod
    def part(self) -> None:
        """Has it compute with its own again, which take the values of the model's."""

    @abstractmethod
    def calibrate(self, batches: list[list[Any]]) -> None:
        """Sets its ranges to what tensors span over batches of inputs; nothing else changes."""

    @abstractmethod
    def follow_weights(self, batch: list[Any]) -> None:
        """Sets the ranges of weights anew, after they were changed otherwise than by a step."""

    def call(self, inputs, training=None, mask=None, **kwargs) -> Any:
        """What `model.call` would return if the model were quantized."""
        return self._shadow.call(inputs, training=bool(training))

    def flat(self, x: Any) -> list[Any]:
        """The inputs of a batch of `fit` in the order of `model.inputs`."""
        self._seen = []
        try:
            self._shadow.call(x, training=False)
            return self._seen
        finally:
            self._seen = None

    def _run(self, inputs: list[Any], training: bool) -> list[Any]:
        if self._seen is not None:
            self._seen = inputs
        result = self.quantized(inputs if len(inputs) > 1 else inputs[0], training=training)
        return list(result) if isinstance(result, (list, tuple)) else [result]


class _Twin(keras.layers.Layer):
    """Calls a function on a list of inputs, and returns a list of outputs."""

    def __init__(self, run: Callable, outputs: list[Any]):
        super().__init__(name="twin", dtype="float32")
        self._run = run
        self._outputs = [(one.shape, one.dtype) for one in outputs]

    def call(self, inputs, training=None):
        return self._run(list(inputs), bool(training))

    def compute_output_spec(self, inputs, training=None):
        return [keras.KerasTensor(shape, dtype=dtype) for shape, dtype in self._outputs]


def _shadow(model, run: Callable) -> keras.Model:
    """A model with the same inputs and outputs, so that Keras brings batches into order itself."""
    alone = isinstance(model, keras.Sequential)
    inputs = keras.tree.map_structure(
        lambda one: keras.Input(batch_shape=one.shape, dtype=one.dtype, name=one.name),
        model.inputs[0] if alone else model.input,
    )
    outputs = _Twin(run, model.outputs)(keras.tree.flatten(inputs))
    structure = model.outputs[0] if alone else model.output
    return keras.Model(inputs, keras.tree.pack_sequence_as(structure, list(outputs)))
