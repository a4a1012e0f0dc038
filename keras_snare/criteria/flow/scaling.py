"""Numbers beyond the range of floats: each tensor has an exponent of its own."""

import math
from typing import Any

import keras
import numpy as np

from keras_snare.graph import Call

# Up to here, in powers of two, numbers are left as they are; single precision ends at 127.
_LIMIT = 100


class Scaling:
    """Keeps what runs through a graph in range, by powers of two, which cost no digit.

    A tensor stands for itself times two to the power of its exponent. Calls are linear in what they
    read, so what a call makes has the exponent of what it reads; tensors that a call brings
    together get the same one.
    """

    def __init__(self) -> None:
        self._exponents: dict[int, int] = {}

    def read(self, call: Call, key: int, value: Any) -> Any:
        """Hook for `Trace.run`."""
        if not _is_flow(value):
            return value
        exponent = max(self._exponents.get(one, 0) for one in call.inputs)
        shift = self._exponents.get(key, 0) - exponent
        if len(call.inputs) == 1:
            own = _exponent(value)
            shift, exponent = (-own, own + exponent) if abs(own) > _LIMIT else (0, exponent)
        self._exponents.update(dict.fromkeys(call.outputs, exponent))
        return shifted(value, shift)

    def total(self, keys: tuple[int, ...], values: list[Any]) -> Any:
        """Returns the sum of what is in tensors, up to a power of two."""
        found = {key: one for key, one in zip(keys, values, strict=True) if _is_flow(one)}
        exponents = {key: self._exponents.get(key, 0) for key in found}
        most = max(exponents.values(), default=0)
        parts = [keras.ops.sum(shifted(one, exponents[key] - most)) for key, one in found.items()]
        return sum(parts[1:], parts[0]) if parts else None


def shifted(value: Any, exponent: int) -> Any:
    """Returns a value times a power of two."""
    return value * math.ldexp(1.0, exponent) if exponent else value


def _is_flow(value: Any) -> bool:
    return keras.ops.is_tensor(value) and "float" in keras.backend.standardize_dtype(value.dtype)


def _exponent(value: Any) -> int:
    most = float(np.abs(keras.ops.convert_to_numpy(value)).max(initial=0.0))
    return math.frexp(most)[1] if 0 < most < math.inf else 0
