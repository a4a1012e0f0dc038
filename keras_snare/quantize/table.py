"""The table itself: what each class of layers, and each function, becomes."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_snare.graph import Call
from keras_snare.graph.trace import function_name
from keras_snare.quantize.parts import Part, Untranslated

Parts = tuple[Part, ...]
LayerRow = Callable[[Any], Parts]
OperationRow = Callable[[Call, Mapping[int, tuple]], Parts]

LAYERS: dict[type, LayerRow] = {}
OPERATIONS: dict[str, OperationRow] = {}


def row(*classes: type) -> Callable[[LayerRow], LayerRow]:
    """Enters what layers of some classes become; the function is given the layer."""

    def enter(rule: LayerRow) -> LayerRow:
        LAYERS.update(dict.fromkeys(classes, rule))
        return rule

    return enter


def operation(*names: str) -> Callable[[OperationRow], OperationRow]:
    """Enters what functions of `keras.ops` become, and layers that Keras keeps to itself, by name.

    The function is given the call and the shape of each tensor, by its key.
    """

    def enter(rule: OperationRow) -> OperationRow:
        OPERATIONS.update(dict.fromkeys(names, rule))
        return rule

    return enter


def parts_of_layer(layer) -> Parts:
    """What a layer becomes.

    A subclass may compute something else, so it does not inherit the row of its parent.

    Raises:
        Untranslated: when it has no equal.
    """
    if type(layer) not in LAYERS:
        raise Untranslated("no equal of it in tf_keras is known here")
    return LAYERS[type(layer)](layer)


def parts_of_call(call: Call, shapes: Mapping[int, tuple]) -> Parts:
    """What the operation of a call becomes.

    Raises:
        Untranslated: when it has no equal.
    """
    name = _operation_name(call.operation)
    if name in OPERATIONS:
        return OPERATIONS[name](call, shapes)
    if not isinstance(call.operation, keras.Layer):
        raise Untranslated("no equal of this function is known here")
    return parts_of_layer(call.operation)


def _operation_name(one) -> str:
    # keras.activations.relu makes an operation of a class that is no function of keras.ops.
    return function_name(one) or ("" if isinstance(one, keras.Layer) else type(one).__name__)
