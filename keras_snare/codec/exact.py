"""Numbers of any type bit for bit: a byte of each after the other, the first bytes modelled."""

from math import prod
from typing import Any

import keras
import numpy as np

from keras_snare.codec.bit_stream import BitStream
from keras_snare.codec.mixing import Mixture

# The leading bytes of numbers are alike; of those behind, what is learned is whether they are zero.
_MODELLED = 2
_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES = 16, 4096, 2048


def code_exact(stream: BitStream, values: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Passes an array through a stream of bits as it is.

    Args:
        stream: what writes, reads or measures it.
        values: array; None when it is read.
        shape: tuple of int.
        dtype: NumPy's, of numbers of 1, 2, 4 or 8 bytes.

    Returns:
        The array.
    """
    dtype = np.dtype(dtype)
    count = prod(shape)
    whole = np.dtype(f"<u{dtype.itemsize}")
    turns = _is_float(dtype)
    given = None
    if values is not None:
        numbers = np.ascontiguousarray(values, dtype=dtype).reshape(-1).view(whole)
        given = _signs_last(numbers) if turns else numbers
    found = np.zeros(count, whole)
    nothing = np.ones(count, np.int64)
    for plane in reversed(range(dtype.itemsize)):
        known = None if given is None else (given >> whole.type(8 * plane)) & whole.type(255)
        models = _Bytes(plane >= dtype.itemsize - _MODELLED)
        values_here = models.code(stream, known, nothing)
        found |= values_here.astype(whole) << whole.type(8 * plane)
        nothing &= values_here == 0
    return (_signs_first(found) if turns else found).view(dtype).reshape(shape)


class _Bytes:
    """Bytes of one place in their numbers.

    Args:
        modelled: bool, whether a whole byte is looked at, or one digit at a time.
    """

    def __init__(self, modelled: bool) -> None:
        self._modelled = modelled
        self._mixture = Mixture([256, 512] if modelled else [16])

    def code(self, stream: BitStream, given: Any, nothing: np.ndarray) -> np.ndarray:
        """Returns the bytes; `nothing` is 1 where the bytes before are zero."""
        found = np.zeros(len(nothing), np.int64)
        most = max(_LARGEST_BATCH, len(nothing) // _BATCHES)
        at = 0
        while at < len(nothing):
            part = slice(at, at + min(max(at // 16, _SMALLEST_BATCH), most))
            known = None if given is None else given[part].astype(np.int64)
            found[part] = self._batch(stream, known, nothing[part])
            at = part.stop
        return found

    def _batch(self, stream: BitStream, given: Any, nothing: np.ndarray) -> np.ndarray:
        node = np.ones(len(nothing), np.int64)
        for digit in reversed(range(8)):
            bits = None if given is None else ((given >> digit) & 1).astype(np.int32)
            contexts = [node, node + 256 * nothing] if self._modelled else [digit + 8 * nothing]
            node = 2 * node + self._mixture.code(stream, bits, contexts)
        return node - 256


def _is_float(dtype: np.dtype) -> bool:
    return keras.backend.is_float_dtype(dtype.name)


def _signs_last(numbers: np.ndarray) -> np.ndarray:
    """Moves the sign behind the digits, so that the exponent fills the first byte."""
    kind = numbers.dtype.type
    return (numbers << kind(1)) | (numbers >> kind(8 * numbers.itemsize - 1))


def _signs_first(numbers: np.ndarray) -> np.ndarray:
    kind = numbers.dtype.type
    return (numbers >> kind(1)) | (numbers << kind(8 * numbers.itemsize - 1))
