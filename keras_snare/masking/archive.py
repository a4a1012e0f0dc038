"""Named arrays in one file, with a checksum, written whole or not at all."""

import hashlib
import io
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_snare.arguments import check_count
from keras_snare.errors import SnapshotError
from keras_snare.files import write_whole

_KIND, _CHECKSUM = "kind", "sha256"

MAX_BYTES = 2**32


def save_arrays(path: str | os.PathLike[str], kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays into an `.npz` file.

    Args:
        path: file to write; one that is there is replaced when the new one is whole.
        kind: what the arrays are, with a version, such as `"masks 1"`.
        arrays: by name.

    Raises:
        SnapshotError: when the file cannot be written; one that was there stays.
    """
    path, buffer = Path(path), io.BytesIO()
    held: dict[str, Any] = {
        _KIND: np.array(kind),
        _CHECKSUM: np.array(_digest(kind, arrays)),
        **arrays,
    }
    np.savez_compressed(buffer, **held)
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise SnapshotError(
            f"{path} cannot be written ({type(error).__name__}: {error}). Make its folder, or room "
            "in it, or give another path."
        ) from error


def load_arrays(
    path: str | os.PathLike[str], kind: str, max_bytes: int = MAX_BYTES
) -> dict[str, np.ndarray]:
    """Reads what `save_arrays` wrote.

    Args:
        path: the file.
        kind: what it should hold.
        max_bytes: int, how many bytes its arrays may take; checked before any memory is taken.

    Returns:
        The arrays by name.

    Raises:
        SnapshotError: when the file is missing, damaged, of another kind, or too large.
        ValueError: when `max_bytes` is no whole number above 0.
    """
    path = Path(path)
    check_count("max_bytes", max_bytes)
    if not path.is_file():
        raise SnapshotError(f"{path} is missing. Give the path of a file of {kind.split()[0]}.")
    try:
        content = path.read_bytes()
        declared = _declared_bytes(content)
    except Exception as error:
        raise _damaged(path, kind, error) from error
    if declared > max_bytes:
        raise SnapshotError(
            f"{path} holds arrays of {declared:,} bytes, and {max_bytes:,} are allowed. If you "
            f"trust it, give max_bytes={declared}."
        )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        found, checksum = str(arrays.pop(_KIND)), str(arrays.pop(_CHECKSUM))
    except (
        Exception
    ) as error:  # A damaged zip file fails in many ways, of which NumPy says too much.
        raise _damaged(path, kind, error) from error
    if found != kind:
        raise SnapshotError(f"{path} should hold {kind!r}. Received: {found!r}. Give another file.")
    if checksum != _digest(kind, arrays):
        raise SnapshotError(f"{path} is damaged (its checksum differs). Restore it from a copy.")
    return arrays


def _damaged(path: Path, kind: str, error: Exception) -> SnapshotError:
    return SnapshotError(
        f"{path} is damaged or no file of {kind.split()[0]} ({type(error).__name__}). Give the "
        "path that they were saved to."
    )


def _declared_bytes(content: bytes) -> int:
    """What the arrays of a file will take, by their headers; nothing larger is unpacked."""
    total = 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as stream:
                version = np.lib.format.read_magic(stream)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(stream)
            total += max(math.prod(shape) * dtype.itemsize, entry.file_size)
    return total


def _digest(kind: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(kind.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
