"""What a function of `keras.ops` is given: symbolic tensors, constants and numbers."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_snare.graph.channels import AxisLabels
from keras_snare.graph.view import CallView


@dataclass(frozen=True, eq=False)
class Operand:
    """One argument: its shape, and the labels of its axes; a constant has none."""

    shape: tuple
    axes: AxisLabels


def operands(view: CallView) -> list[Operand]:
    """Every tensor, array and number among the arguments of a call, in order."""
    found = []
    for value in keras.tree.flatten(view.arguments()):
        if isinstance(value, keras.KerasTensor):
            at = view.place(value)
            found.append(Operand(view.input_shapes[at], view.inputs[at]))
        elif value is not None and not isinstance(value, (bool, str)):
            found.append(Operand(tuple(np.shape(value)), {}))
    return found
