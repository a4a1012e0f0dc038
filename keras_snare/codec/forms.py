"""The three forms in which a variable is stored: bit for bit, as few values, or rounded."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.codec.bit_stream import BitCounter, BitStream
from keras_snare.codec.coding import TRANSFORMS, Coding, check_grid, from_integers
from keras_snare.codec.container import Cursor, size_bytes
from keras_snare.codec.entropy import code_integers
from keras_snare.codec.exact import code_exact
from keras_snare.codec.transforms import Grid
from keras_snare.errors import CodecError

_EXACT, _CODEBOOK, _QUANTIZED = range(3)
_MOST_VALUES = 256
# Of variables, by number: a part of the file format. The first needs no byte.
TYPES = (
    "float32 float16 bfloat16 float64 bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
    "float8_e4m3fn float8_e5m2"
).split()


@dataclass(frozen=True, eq=False)
class Form:
    """How a variable is stored, and what of it.

    Args:
        coding: of a variable that is rounded; of others its grid counts.
        values: the few values of a codebook, in order, or None.
        content: the integers that are coded, or the variable bit for bit; None when it is read.
    """

    coding: Coding | None = None
    values: np.ndarray | None = None
    content: Any = None

    @property
    def name(self) -> str:
        """What it is called in a report."""
        if self.values is not None:
            return f"{len(self.values)} values"
        return "exact" if self.coding is None else self.coding.transform

    def describe(self, dtype: Any) -> bytes:
        """Returns what the file says of it, for a variable of one of `TYPES`."""
        coding = self.coding or Coding()
        kind = _CODEBOOK if self.values is not None else _QUANTIZED if self.coding else _EXACT
        grid = coding.grid or ()
        number = TYPES.index(np.dtype(dtype).name)
        first = kind + 4 * TRANSFORMS.index(coding.transform) + 8 * len(grid) + 32 * bool(number)
        found = bytes([first, number] if number else [first]) + b"".join(map(size_bytes, grid))
        if self.values is not None:
            return found + bytes([len(self.values) - 1]) + _bits(self.values).tobytes()
        if self.coding:
            digits = int(np.float32(coding.step).view(np.uint32)) >> 16
            found += digits.to_bytes(2, "big")
        return found

    def code(self, stream: BitStream, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Passes the variable through a stream of bits, and returns it as it is read back."""
        if self.values is None and self.coding is None:
            return code_exact(stream, self.content, shape, dtype)
        grid = None if self.coding is None else self.coding.grid
        integers = code_integers(stream, self.content, shape, grid)
        if self.values is None:
            assert self.coding is not None
            return from_integers(integers, self.coding, shape, dtype)
        places = integers + _zero_place(self.values)
        if places.size and not 0 <= places.min() <= places.max() < len(self.values):
            raise CodecError(
                f"Expected places in a codebook of {len(self.values)}. Received: "
                f"{places.min()} to {places.max()}. The file is damaged."
            )
        return self.values[places].reshape(shape)

    def coded_bytes(self, shape: tuple[int, ...], dtype: Any) -> float:
        """Returns how many bytes it takes up, its description included."""
        counter = BitCounter()
        self.code(counter, shape, dtype)
        return counter.bits / 8 + len(self.describe(dtype))


def read_form(cursor: Cursor, shape: tuple[int, ...]) -> tuple[Form, np.dtype]:
    """Reads what `Form.describe` wrote: the form, and the type of the numbers.

    Raises:
        CodecError: when it is damaged, or does not suit the variable.
    """
    (first,) = cursor.take(1)
    number = cursor.take(1)[0] if first & 32 else 0
    if first > 63 or number >= len(TYPES) or number == 0 < first & 32:
        raise CodecError(f"Expected a known form. Received: {first}. The file is damaged.")
    dtype = _dtype(TYPES[number])
    kind, transform, axes = first % 4, TRANSFORMS[first // 4 % 2], first // 8 % 4
    grid = tuple(cursor.size() for _ in range(axes))
    try:
        if kind == _EXACT and first % 32 == _EXACT:
            return Form(), dtype
        coding = Coding(transform, grid or None, 1.0)
        if grid:
            check_grid(grid, shape)
        if kind == _CODEBOOK:
            count = cursor.take(1)[0] + 1
            stored = cursor.take(count * dtype.itemsize)
            return Form(coding, np.frombuffer(stored, _whole(dtype)).view(dtype)), dtype
        if kind == _QUANTIZED and keras.backend.is_float_dtype(dtype.name):
            digits = np.array([int.from_bytes(cursor.take(2), "big") << 16], np.uint32)
            step = float(digits.view(np.float32)[0])
            return Form(Coding(transform, grid or None, step)), dtype
    except ValueError as error:
        raise CodecError(f"{error} The file is damaged: fetch it again.") from error
    raise CodecError(f"Expected a known form. Received: {first}. The file is damaged.")


def _dtype(name: str) -> np.dtype:
    """NumPy's type of a name; the package that Keras has for the others makes them known to it."""
    return np.dtype(name)


def exact_form(value: np.ndarray, grid: Grid | None) -> Form:
    """Returns the form that keeps every bit: a codebook where there are few values."""
    if value.size:
        values, places = np.unique(_bits(value), return_inverse=True)
        if len(values) <= min(_MOST_VALUES, max(value.size // 4, 1)):
            found = values.view(value.dtype)
            # In the order of the numbers, so that neighbours on it are alike.
            order = np.argsort(found.astype(np.float64), kind="stable")
            places = np.argsort(order)[places.reshape(value.shape)]
            found = found[order]
            return Form(Coding(grid=grid), found, places - _zero_place(found))
    return Form(content=value)


def _zero_place(values: np.ndarray) -> int:
    """The place that is coded as zero, which costs least: of the value zero, or of the middle."""
    zeros = np.flatnonzero(values.astype(np.float64) == 0)
    return int(zeros[0]) if len(zeros) else len(values) // 2


def _whole(dtype: Any) -> np.dtype:
    return np.dtype(f"<u{np.dtype(dtype).itemsize}")


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(_whole(values.dtype))
