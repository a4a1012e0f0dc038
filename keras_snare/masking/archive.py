"""Named arrays in one file, with a checksum, written whole or not at all."""

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_snare.errors import SnapshotError
from keras_snare.files import write_whole

_KIND, _CHECKSUM = "kind", "sha256"


def save_arrays(path: str | os.PathLike, kind: str, arrays: Mapping[str, np.ndarray]) -> None:
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


def load_arrays(path: str | os.PathLike, kind: str) -> dict[str, np.ndarray]:
    """Reads what `save_arrays` wrote.

    Raises:
        SnapshotError: when the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise SnapshotError(f"{path} is missing. Give the path of a file of {kind.split()[0]}.")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        found, checksum = str(arrays.pop(_KIND)), str(arrays.pop(_CHECKSUM))
    except (
        Exception
    ) as error:  # A damaged zip file fails in many ways, of which NumPy says too much.
        raise SnapshotError(
            f"{path} is damaged or no file of {kind.split()[0]} ({type(error).__name__}). Give the "
            "path that they were saved to."
        ) from error
    if found != kind:
        raise SnapshotError(f"{path} should hold {kind!r}. Received: {found!r}. Give another file.")
    if checksum != _digest(kind, arrays):
        raise SnapshotError(f"{path} is damaged (its checksum differs). Restore it from a copy.")
    return arrays


def _digest(kind: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(kind.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
