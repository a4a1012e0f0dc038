"""Synaptic flow: how much of what runs from the inputs to the outputs passes each weight."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_snare.criteria.flow.scaling import Scaling
from keras_snare.criteria.flow.table import stand_in_for
from keras_snare.criteria.gradients import only_tensorflow
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Trace, trace
from keras_snare.graph.opening import replaced
from keras_snare.graph.trace import operations_of

_DOUBLE = "float64"
_ACTIVATIONS = ("activation", "recurrent_activation")


def synaptic_flow(
    model: keras.Model, variables: Iterable[Any], size: int = 128
) -> list[np.ndarray]:
    """Returns |w · ∂R/∂w| of each weight, with R the sum of what a positive network makes of ones.

    R is 1ᵀ · ∏|W| · 1: the network runs on ones with the absolute value of every weight, without
    biases and with the identity in place of every activation. Of a normalisation its scale stays:
    of batch normalisation |gamma| / sqrt(moving variance + epsilon), of others |gamma|. Pooling and
    sums stay. In a product of two tensors both have the whole flow; it grows as one of them does.
    Attention shares out what it looks at in proportion to query times key. A recurrent layer is
    passed in two steps, so that a path takes its recurrent kernel once, and its gates have their
    mean. An embedding reads all of its rows. Other layers, and functions of `keras.ops`, run as
    they are.

    So what flows into a unit equals what flows out of it, and all layers of a chain have a flow of
    R in all. It is computed in double precision, and in range at any depth: where R would leave
    that of floats, all figures are divided by the same power of two. The model is only read.

    Args:
        model: a built Keras model.
        variables: the weights to measure.
        size: int, length of the axes of inputs, batch axis aside, that the model leaves open.

    Returns:
        An array per variable, of its shape.

    Raises:
        UnsupportedModelError: when the graph cannot run like this, or no path leads through it.

    Reference:
        Tanaka et al., "Pruning Neural Networks Without Any Data by Iteratively Conserving Synaptic
        Flow", NeurIPS 2020. Its program keeps biases, the activations and the shift of
        normalisations, which makes no difference in a network of ReLU before its first step.
    """
    only_tensorflow("Synaptic flow")
    import tensorflow as tf

    graph, variables = trace(model), list(variables)
    operations = operations_of(graph)
    positive = _positive_values(operations, variables)
    watched = [positive[id(one)] for one in variables]
    with _linear(operations), _Values(positive), tf.GradientTape(False, False) as tape:
        tape.watch(watched)
        scaling = Scaling()
        outputs = _run(graph, scaling.read, size)
        total = scaling.total(graph.outputs, outputs)
    if total is None or not 0 < float(total) < np.inf:
        raise UnsupportedModelError(
            "Expected connections on the way from the inputs to the outputs of the model, for "
            "SynFlow to follow. Received a flow of "
            f"{'none' if total is None else float(total)}. Prune less, or choose another criterion."
        )
    zero = tf.UnconnectedGradients.ZERO
    slopes = tape.gradient(total, watched, unconnected_gradients=zero)
    pairs = zip(watched, slopes, strict=True)
    found = [one * tf.convert_to_tensor(slope) for one, slope in pairs]
    return [np.abs(keras.ops.convert_to_numpy(one)) for one in found]


class _Values(keras.StatelessScope):
    """Lets variables have other values, of another dtype, and none of them change."""

    def __init__(self, values: Mapping[int, Any]) -> None:
        super().__init__()
        self._values = values

    def get_current_value(self, variable):
        if id(variable) in self._values:
            return self._values[id(variable)]
        return super().get_current_value(variable)


def _positive_values(operations: list[Any], variables: list[Any]) -> dict[int, Any]:
    """Every weight of the model without its sign, in double precision; biases are zeros."""
    held = [one for part in operations for one in getattr(part, "variables", ())]
    found = {}
    for variable in (*held, *variables):
        if id(variable) in found or "float" not in keras.backend.standardize_dtype(variable.dtype):
            continue
        value = keras.ops.abs(keras.ops.cast(variable.value, _DOUBLE))
        is_bias = variable.name.endswith("bias")
        found[id(variable)] = keras.ops.zeros_like(value) if is_bias else value
    return found


@contextmanager
def _linear(operations: list[Any]) -> Iterator[None]:
    """Has stand-ins in place of operations, and layers compute in double precision."""
    with ExitStack() as stack:
        for operation in operations:
            stand_in = stand_in_for(operation)
            if stand_in is not None:
                call = partial(stand_in, operation, operation.call)
                stack.enter_context(replaced(operation, "call", call))
            if not isinstance(operation, keras.Layer):
                continue
            stack.enter_context(_in_double_precision(operation))
            for name in _ACTIVATIONS:
                if callable(vars(operation).get(name)):
                    stack.enter_context(replaced(operation, name, _identity))
        yield


@contextmanager
def _in_double_precision(layer: keras.layers.Layer) -> Iterator[None]:
    policy = layer.dtype_policy
    shared = isinstance(policy, keras.dtype_policies.DTypePolicyMap)
    own = policy[layer.path] if shared and layer.path in policy else None
    layer.dtype_policy = _DOUBLE
    try:
        yield
    finally:
        if not shared:
            layer.dtype_policy = policy
        elif own is not None:
            layer.dtype_policy = own
        else:
            del policy[layer.path]


def _identity(value):
    return value


def _run(graph: Trace, read: Callable[[Any, int, Any], Any], size: int) -> list[Any]:
    try:
        return graph.run([_ones(graph.tensors[key][0], size) for key in graph.inputs], read)
    except Exception as error:  # Code of a layer may fail in any way.
        raise UnsupportedModelError(
            "SynFlow runs the model on ones, in double precision and without its activations. "
            f"Received with size={size}: {type(error).__name__}: {error}. Choose another "
            "criterion, or another `size` where inputs have open axes."
        ) from error


def _ones(symbol: Any, size: int) -> Any:
    """A batch of one example, of ones, for an input."""
    dtype = keras.backend.standardize_dtype(symbol.dtype)
    shape = [size if one is None else one for one in symbol.shape[1:]]
    return keras.ops.ones((symbol.shape[0] or 1, *shape), _DOUBLE if "float" in dtype else dtype)
