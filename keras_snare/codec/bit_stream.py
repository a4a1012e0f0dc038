"""Where single bits with their probabilities go to and come from: a file, or a sum of bits."""

from typing import Any, Protocol

import numpy as np

from keras_snare.errors import CodecError


class BitStream(Protocol):
    """Takes or gives bits; the same calls write a file, read it, and measure it."""

    def code(self, bits: Any, ones: np.ndarray) -> np.ndarray:
        """Passes bits through.

        Args:
            bits: array of 0 and 1; what is read has its bits from the file.
            ones: float64 array, the probability of a 1 for each.

        Returns:
            The bits, int32.
        """
        ...


class BitWriter:
    """Writes bits into as many bytes as their probabilities ask for."""

    reading = False

    def __init__(self) -> None:
        self._coder, self._model = coders().queue.RangeEncoder(), _bernoulli()

    def code(self, bits: Any, ones: np.ndarray) -> np.ndarray:
        found = np.ascontiguousarray(bits, dtype=np.int32)
        if found.size:
            self._coder.encode(found, self._model, np.ascontiguousarray(ones))
        return found

    @property
    def bits(self) -> int:
        """How many bits were written so far, to the next word."""
        return self._coder.num_bits()

    def content(self) -> bytes:
        """Returns what was written, without the zeros at its end, which are read there anyway."""
        words = self._coder.get_compressed()
        return words.astype(">u4").tobytes().rstrip(b"\0")


class BitReader:
    """Reads bits that `BitWriter` wrote, given the same probabilities.

    Args:
        content: bytes.
    """

    reading = True

    def __init__(self, content: bytes) -> None:
        words = np.frombuffer(content + bytes(-len(content) % 4), dtype=">u4")
        self._coder = coders().queue.RangeDecoder(words.astype(np.uint32))
        self._model = _bernoulli()

    def code(self, bits: Any, ones: np.ndarray) -> np.ndarray:
        if not len(ones):
            return np.zeros(0, np.int32)
        try:
            return self._coder.decode(self._model, np.ascontiguousarray(ones))
        except AssertionError as error:
            raise CodecError(
                f"Expected bits that the coder wrote. Received: others ({error}). The file is "
                "damaged: fetch it again."
            ) from error

    def check_end(self) -> None:
        """Checks that nothing is left.

        Raises:
            CodecError: when something is.
        """
        if not self._coder.maybe_exhausted():
            raise CodecError(
                "Expected the end of the coded weights. Received: more of them. The file is "
                "damaged: fetch it again."
            )


class BitCounter:
    """Adds up how many bits `BitWriter` would write."""

    reading = False

    def __init__(self) -> None:
        self.bits = 0.0

    def code(self, bits: Any, ones: np.ndarray) -> np.ndarray:
        found = np.asarray(bits, dtype=np.int32)
        self.bits -= float(np.sum(np.log2(np.where(found == 1, ones, 1.0 - ones))))
        return found


def coders() -> Any:
    """Returns the coders of the package constriction.

    Raises:
        ImportError: when it is missing.
    """
    try:
        from constriction import stream
    except ImportError as error:
        raise ImportError(
            "Packed files need the package constriction. Received: none installed. Install it "
            "with pip install keras-snare[codec]."
        ) from error
    return stream


def _bernoulli() -> Any:
    # `perfect=False` makes the model with additions, multiplications and divisions alone.
    return coders().model.Bernoulli(perfect=False)
