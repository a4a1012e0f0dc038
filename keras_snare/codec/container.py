"""The bytes of a packed file: what stands where, and the checks of lengths and checksum.

`docs/format_snare.md` describes the format.
"""

import struct
import zlib
from dataclasses import dataclass

from keras_snare.errors import CodecError

MAGIC = b"KSNR"
VERSION = 1
_CHECKSUM = 4
# Sizes are written seven binary digits a byte, so that no more than these can be declared.
_SIZE_BYTES = 6


@dataclass(frozen=True)
class Container:
    """The parts of a file.

    Args:
        configuration: bytes, the model's configuration, compressed.
        configuration_size: int, bytes of it when it is not compressed.
        numbers: int, how many numbers there are in all variables.
        descriptions: bytes, how each variable is coded.
        coded: bytes, the variables.
    """

    configuration: bytes
    configuration_size: int
    numbers: int
    descriptions: bytes
    coded: bytes

    def to_bytes(self) -> bytes:
        """Returns the file."""
        body = b"".join(
            [
                MAGIC,
                bytes([VERSION]),
                size_bytes(len(self.configuration)),
                size_bytes(self.configuration_size),
                self.configuration,
                size_bytes(self.numbers),
                size_bytes(len(self.descriptions)),
                self.descriptions,
                size_bytes(len(self.coded)),
                self.coded,
            ]
        )
        return body + struct.pack("<I", zlib.crc32(body))

    @classmethod
    def from_bytes(cls, content: bytes) -> "Container":
        """Reads a file.

        Raises:
            CodecError: when it is damaged, of another version or no packed file.
        """
        _check_ends(content)
        cursor = Cursor(content[len(MAGIC) + 1 : -_CHECKSUM])
        length, size = cursor.size(), cursor.size()
        configuration = cursor.take(length)
        numbers = cursor.size()
        descriptions = cursor.take(cursor.size())
        coded = cursor.take(cursor.size())
        cursor.check_end()
        return cls(configuration, size, numbers, descriptions, coded)


class Cursor:
    """Reads bytes one after the other, and never past their end.

    Args:
        content: bytes.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, count: int) -> bytes:
        """Returns the next bytes.

        Raises:
            CodecError: when there are fewer.
        """
        left = len(self._content) - self._at
        if count > left:
            raise CodecError(
                f"Expected {count} bytes more. Received: {left}. The file is damaged or cut off: "
                "fetch it again."
            )
        self._at += count
        return self._content[self._at - count : self._at]

    def size(self) -> int:
        """Returns the next size that `size_bytes` wrote.

        Raises:
            CodecError: when none is there.
        """
        found = 0
        for place in range(_SIZE_BYTES):
            (byte,) = self.take(1)
            found |= (byte & 127) << (7 * place)
            if byte < 128:
                return found
        raise CodecError(
            f"Expected a size of {_SIZE_BYTES} bytes at most. Received: more. The file is damaged."
        )

    def check_end(self) -> None:
        """Checks that nothing is left.

        Raises:
            CodecError: when something is.
        """
        left = len(self._content) - self._at
        if left:
            raise CodecError(
                f"Expected the end of a part of the file. Received: {left} bytes more. The file is "
                "damaged."
            )


def size_bytes(size: int) -> bytes:
    """Returns a size in few bytes: seven binary digits in each, the lowest first."""
    found = bytearray()
    while size > 127:
        found.append(size & 127 | 128)
        size >>= 7
    return bytes([*found, size])


def _check_ends(content: bytes) -> None:
    if not content.startswith(MAGIC):
        raise CodecError(
            f"A packed file begins with {MAGIC!r}. Received: {content[: len(MAGIC)]!r}. Give the "
            "path of a file that keras_snare.pack wrote."
        )
    if len(content) < len(MAGIC) + 1 + _CHECKSUM:
        raise CodecError(
            f"Expected a packed file. Received: {len(content)} bytes, fewer than any has. The file "
            "is cut off: fetch it again."
        )
    (expected,) = struct.unpack("<I", content[-_CHECKSUM:])
    found = zlib.crc32(content[:-_CHECKSUM])
    if found != expected:
        raise CodecError(
            f"Expected the checksum {expected:08x}. Received: {found:08x}. The file is damaged or "
            "cut off: fetch it again."
        )
    version = content[len(MAGIC)]
    if version != VERSION:
        raise CodecError(
            f"This release reads version {VERSION} of the format. Received: version {version}. "
            "Install a newer keras_snare."
        )
