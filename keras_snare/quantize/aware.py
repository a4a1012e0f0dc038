"""A model that trains in Keras 3 and computes as TF-MOT has its int8 twin compute."""

from collections.abc import Callable
from typing import Any

import keras

from keras_snare.quantize.bridge import to_tf_keras
from keras_snare.quantize.chosen import chosen_layers
from keras_snare.quantize.environment import tf_mot
from keras_snare.quantize.sharing import SharedWeights


class AwareTwin:
    """The twin of a Keras 3 model, quantized by TF-MOT, and what a model's `call` does with it.

    Args:
        model: a built model.
        layers: which layers are quantized, as `QuantizeAwareCallback` takes them.
        scheme: a `QuantizeScheme` of TF-MOT, or None.
        configs: `QuantizeConfig`s of TF-MOT by name of a layer.

    Attributes:
        quantized: the model that TF-MOT made.
        late: names of layers whose kernels are rounded in the file only.
        weights: the `SharedWeights`.

    Raises:
        UnsupportedModelError: when the model has no twin, or TF-MOT does not take it.
        ValueError: when `layers` or `configs` name no layer.
    """

    def __init__(self, model, layers: Any, scheme: Any, configs: dict[str, Any]):
        tf_mot()
        # It imports TF-MOT, which has to be done with care.
        from keras_snare.quantize.fake_quantization import fake_quantized

        chosen = chosen_layers(model, layers, configs)
        twin = to_tf_keras(model)
        self.quantized, self.late = fake_quantized(twin.model, chosen, scheme)
        self.weights = SharedWeights(twin, self.quantized)
        self._seen: list[Any] | None = None
        self._shadow = _shadow(model, self._run)

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
