"""From a model in Keras 3 to its twin in tf_keras."""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.environment import tf_keras
from keras_snare.quantize.parts import FUNCTION, Part, unsupported
from keras_snare.quantize.planning import Plan, PlannedCall, planned
from keras_snare.quantize.twin import Pair, TfKerasTwin


def to_tf_keras(model: keras.Model) -> TfKerasTwin:
    """Rebuilds a Keras 3 model in tf_keras, the Keras 2 that TF-MOT quantizes.

    The twin has equal weights and equal outputs. It is one flat functional model: what nested
    models hold stands in their place, and shared layers are shared there too. Layers become plain
    layers of tf_keras, and activations stay where they are, so that TF-MOT finds its patterns. An
    activation that tf_keras does not have, and a function of `keras.ops` that no layer computes,
    becomes a layer of its own. A SeparableConv2D becomes the two convolutions that it consists of.

    Training differs in one thing: on images and volumes, the moving variance of a
    BatchNormalization in tf_keras is that of a sample (n - 1 for n).

    Args:
        model: a built Sequential or functional model in float32. It is not changed.

    Returns:
        A `TfKerasTwin`: the model in tf_keras, and the way back for its weights.

    Raises:
        UnsupportedModelError: the model is not built, subclassed or not in float32, or a layer has
            no equal in tf_keras; the message names it and says why.
        ImportError: tf_keras is missing.
        SnareError: tf_keras is of another release than TensorFlow, or `TF_USE_LEGACY_KERAS` is set.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, activation="relu")])
    >>> twin = keras_snare.quantize.to_tf_keras(model)
    >>> quantized = tfmot.quantization.keras.quantize_model(twin.model)
    >>> quantized.compile("adam", "mse")
    >>> history = quantized.fit(np.ones((4, 8)), np.ones((4, 4)), verbose=0)
    >>> twin.write_back(quantized)

    Reference:
        Jacob et al., 2018, Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference.
    """
    plan = planned(model)
    twin = _Builder(tf_keras(), plan).built(model)
    twin.copy_weights()
    return twin


class _Builder:
    """Builds what was planned.

    Args:
        library: tf_keras.
        plan: the plan.
    """

    def __init__(self, library: Any, plan: Plan):
        self._library = library
        self._plan = plan
        self._layers: dict[str, Any] = {}
        self._pairs: list[Pair] = []

    def built(self, model) -> TfKerasTwin:
        """The twin, with weights of its own as yet."""
        plan, graph = self._plan, self._plan.graph
        inputs = [self._library.Input(**settings) for settings in plan.inputs]
        values = dict(zip(graph.inputs, inputs, strict=True))
        for call in plan.calls:
            results = self._called(call, [values[key] for key in call.inputs])
            _check_shapes(call, results, [graph.shapes[key] for key in call.call.outputs])
            values.update(zip(call.call.outputs, results, strict=True))
        outputs = [values[key] for key in graph.outputs]
        given = [one[0] if len(one) == 1 else one for one in (inputs, outputs)]
        twin = self._library.Model(*given, name=plan.name)
        names = {call.call.name: call.names for call in plan.calls}
        _check_trainable(model, twin, self._pairs)
        return TfKerasTwin(model, twin, tuple(self._pairs), names)

    def _called(self, call: PlannedCall, values: list[Any]) -> list[Any]:
        """Calls the parts of a layer one after the other."""
        known, result = list(values), values if call.listed else values[0]
        for name, part in zip(call.names, call.parts, strict=True):
            if part.reads is not None:
                read = [known[number] for number in part.reads]
                result = read if len(read) > 1 else read[0]
            try:
                result = self._layer(name, part, result)
            except (TypeError, ValueError, NotImplementedError) as error:
                raise unsupported(
                    call.call.name,
                    type(call.call.operation).__name__,
                    f"tf_keras does not take it, {type(error).__name__}: {error}",
                ) from error
            known.append(result)
        return list(result) if isinstance(result, (list, tuple)) else [result]

    def _layer(self, name: str, part: Part, value: Any) -> Any:
        """The result of a layer, which is made where this is its first call."""
        if name in self._layers:
            return self._layers[name](value)
        made = self._layers[name] = self._class(part.kind)(
            name=name, dtype="float32", **part.config
        )
        result = made(value)
        shapes = [[tuple(one.shape) for one in side] for side in (part.weights, made.weights)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"its weights are {shapes[0]} in Keras 3, and {shapes[1]} there")
        pairs = zip(part.weights, made.weights, strict=True)
        self._pairs += [Pair(own, other.name, name) for own, other in pairs]
        return result

    def _class(self, kind: str) -> Any:
        if kind == FUNCTION:
            from keras_snare.quantize.function_layer import KerasFunction

            return KerasFunction
        return getattr(self._library.layers, kind)


def _check_shapes(call: PlannedCall, results: list[Any], expected: list[tuple]) -> None:
    found = [tuple(result.shape) for result in results]
    if not (len(found) == len(expected) and all(map(_agree, found, expected))):
        raise unsupported(
            call.call.name,
            type(call.call.operation).__name__,
            f"it returns {expected} in Keras 3, and {found} in tf_keras",
        )


def _agree(one: tuple, other: tuple) -> bool:
    """Tells whether two shapes are the same in all that is known of both."""
    known = [{size, also} - {None} for size, also in zip(one, other, strict=False)]
    return len(one) == len(other) and all(len(sizes) < 2 for sizes in known)


def _check_trainable(model, twin, pairs: list[Pair]) -> None:
    here = {id(variable) for variable in model.trainable_variables}
    there = {variable.name for variable in twin.trainable_variables}
    for pair in pairs:
        if (id(pair.variable) in here) != (pair.name in there):
            raise UnsupportedModelError(
                f"Expected layers that are trained as a whole or not at all. Received: "
                f"{pair.variable.path!r}, which is {'' if id(pair.variable) in here else 'not '}"
                "trained in Keras 3, and the other way round in tf_keras. Set `trainable` of the "
                "layer, and of the models that hold it, to the same value."
            )
