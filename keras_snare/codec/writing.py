"""A model's variables as the bytes of a file, and what takes up how much."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from keras_snare.codec.bit_stream import BitWriter
from keras_snare.codec.configuration import compressed
from keras_snare.codec.container import Container
from keras_snare.codec.forms import Form
from keras_snare.report.packing import PackedVariable, PackReport


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of a model, as plain data.

    Args:
        path: str, which another variable may have too.
        value: array.
        key: what tells it from the other variables of the model.
    """

    path: str
    value: np.ndarray
    key: int

    @classmethod
    def of(cls, variable) -> "Variable":
        """Reads a variable of Keras's."""
        value = np.asarray(keras.ops.convert_to_numpy(variable.value))
        return cls(variable.path, value, id(variable))


@dataclass(frozen=True, eq=False)
class Packed:
    """The bytes of a file, what it gives back, and what takes up how much.

    Args:
        content: bytes.
        values: arrays, of each variable as it is read.
        report: `PackReport`, without a path.
    """

    content: bytes
    values: list[np.ndarray]
    report: PackReport


def packed(configuration: bytes, variables: Sequence[Variable], forms: Sequence[Form]) -> Packed:
    """Writes variables in the forms that were chosen for them.

    Args:
        configuration: JSON of the model.
        variables: all that the file holds, in the model's order.
        forms: one for each.
    """
    writer = BitWriter()
    values, rows, before = [], [], 0
    for variable, form in zip(variables, forms, strict=True):
        start = writer.bits
        value = form.code(writer, variable.value.shape, variable.value.dtype)
        used = (writer.bits - start) / 8 + len(form.describe(variable.value.dtype))
        coding = None if form.values is not None else form.coding
        rows.append(
            PackedVariable(
                variable.path,
                value.size,
                form.name,
                None if coding is None else coding.step,
                int(np.count_nonzero(value if coding is None else form.content)),
                used,
            )
        )
        values.append(value)
        before += variable.value.nbytes
    container = Container(
        configuration=compressed(configuration),
        configuration_size=len(configuration),
        numbers=sum(one.value.size for one in variables),
        descriptions=b"".join(
            form.describe(one.value.dtype) for one, form in zip(variables, forms, strict=True)
        ),
        coded=writer.content(),
    )
    content = container.to_bytes()
    stated, weights = len(container.configuration), len(container.descriptions + container.coded)
    header = len(content) - stated - weights
    report = PackReport("", len(content), header, stated, weights, before, tuple(rows))
    return Packed(content, values, report)
