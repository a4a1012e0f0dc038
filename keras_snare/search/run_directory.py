"""A folder that holds a run: what is in it is whole, or it is refused."""

import hashlib
import io
import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_snare.errors import SnapshotError
from keras_snare.files import write_whole

FORMAT = 1


class RunDirectory:
    """Stores a record, and the arrays it refers to, so that a crash at any moment loses neither.

    `run.json` holds the record and its SHA-256. Arrays lie in `arrays/`, each in a file that is
    named by the SHA-256 of its content, so that what did not change is stored once. A file is
    written under another name and then renamed; arrays come before the record that refers to them,
    and those that no record refers to are deleted after it.

    Args:
        path: the folder; it is made if need be.

    Raises:
        SnapshotError: when the folder cannot be made.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.record_path = self.path / "run.json"
        self._arrays = self.path / "arrays"
        with _writing(self.path):
            self._arrays.mkdir(parents=True, exist_ok=True)

    def read(self) -> dict | None:
        """Returns the record, or None when there is none yet.

        Raises:
            SnapshotError: when the record is damaged or of a newer format.
        """
        try:
            text = self.record_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(self.record_path, f"{type(error).__name__}: {error}") from error
        try:
            stored = json.loads(text)
            number, record, checksum = stored["format"], stored["run"], stored["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(self.record_path, f"{type(error).__name__}: {error}") from error
        if number != FORMAT:
            raise SnapshotError(
                f"{self.record_path} is of format {number!r}; this version of keras_snare reads "
                f"format {FORMAT}. Use the version that wrote it, or another directory."
            )
        if checksum != _digest(_canonical(record).encode()):
            raise _damaged(self.record_path, "its checksum differs")
        return record

    def write(self, record: dict) -> None:
        """Replaces the record, and deletes arrays that it does not refer to.

        Raises:
            SnapshotError: when the folder cannot be written; the record before stays.
        """
        text = _canonical(record)
        whole = f'{{"format": {FORMAT}, "sha256": "{_digest(text.encode())}", "run": {text}}}\n'
        self._replace(self.record_path, whole.encode())
        used = {f"{name}.npy" for name in _references(record)}
        for file in self._arrays.glob("*"):
            if file.name not in used:
                file.unlink(missing_ok=True)

    def put(self, array: np.ndarray) -> dict[str, str]:
        """Stores an array, unless it is there, and returns a reference for the record.

        Raises:
            SnapshotError: when the folder cannot be written.
        """
        dtype, buffer = array.dtype, io.BytesIO()
        # NumPy's format does not know types that are not its own: bfloat16 and float8.
        plain = array.view(f"u{dtype.itemsize}") if dtype.isbuiltin == 2 else array
        np.save(buffer, plain, allow_pickle=False)
        content = buffer.getvalue()
        name = _digest(content)
        file = self._arrays / f"{name}.npy"
        if not file.exists():
            self._replace(file, content)
        return {"array": name, "dtype": dtype.name}

    def get(self, reference: dict[str, str]) -> np.ndarray:
        """Returns the array that a reference stands for.

        Raises:
            SnapshotError: when its file is missing or damaged.
        """
        file = self._arrays / f"{reference['array']}.npy"
        try:
            content = file.read_bytes()
        except OSError as error:
            raise _damaged(file, f"{type(error).__name__}: {error}") from error
        if _digest(content) != reference["array"]:
            raise _damaged(file, "its checksum differs")
        array = np.load(io.BytesIO(content), allow_pickle=False)
        dtype = np.dtype(reference["dtype"])
        return array if array.dtype.name == dtype.name else array.view(dtype)

    def _replace(self, file: Path, content: bytes) -> None:
        with _writing(file):
            write_whole(file, content)


@contextmanager
def _writing(file: Path):
    try:
        yield
    except OSError as error:
        raise SnapshotError(
            f"{file} cannot be written ({type(error).__name__}: {error}). What was stored before "
            "is still there; make room or give another directory, and run again."
        ) from error


def _canonical(record: dict) -> str:
    return json.dumps(record, sort_keys=True, allow_nan=False)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _references(record: Any) -> set[str]:
    """Names of the arrays that a record refers to, however deep."""
    if isinstance(record, dict):
        if isinstance(record.get("array"), str):
            return {record["array"]}
        record = list(record.values())
    if isinstance(record, list):
        return set().union(*map(_references, record))
    return set()


def _damaged(file: Path, reason: str) -> SnapshotError:
    return SnapshotError(
        f"{file} is missing or damaged ({reason}). Restore the file from a copy, or give an empty "
        "directory to begin anew."
    )
