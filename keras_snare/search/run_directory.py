"""A folder that holds a run: what is in it is whole, or it is refused."""

import hashlib
import io
import json
import math
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_snare.errors import SnapshotError
from keras_snare.files import write_whole

FORMAT = 2
# A record of the first format is one of the second in which no array is a part of another.
READABLE = (1, FORMAT)
CHECKSUM = "its checksum differs"
# Bytes: the headers of NumPy's files are shorter, and arrays are compared by so many at a time.
HEADER, BLOCK = 4096, 2**22


class RunDirectory:
    """Stores a record, and the arrays it refers to, so that a crash at any moment loses neither.

    `run.json` holds the record and its SHA-256. Arrays lie in `arrays/`, each in a file that is
    named by the SHA-256 of its content, so that what did not change is stored once, and what was
    only cut is stored as positions of the array that it was cut from. A file is written under
    another name and then renamed; arrays come before the record that refers to them, and those that
    no record refers to are deleted after it.

    Args:
        path: the folder; it is made if need be.

    Raises:
        SnapshotError: when the folder cannot be made, or there is a file of that name.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.record_path = self.path / "run.json"
        self._arrays = self.path / "arrays"
        self._used: set[str] = set()
        if self.path.is_file():
            raise SnapshotError(
                f"`directory` is a folder. Received: the file {self.path}. Give another path."
            )
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
        if number not in READABLE:
            raise SnapshotError(
                f"{self.record_path} is of format {number!r}; this version of keras_snare reads "
                f"formats up to {FORMAT}. Use the version that wrote it, or another directory."
            )
        if checksum != _digest(_canonical(record).encode()):
            raise _damaged(self.record_path, CHECKSUM)
        self._used = _references(record)
        return record

    def write(self, record: dict) -> None:
        """Replaces the record, and deletes arrays that it does not refer to.

        Raises:
            SnapshotError: when the folder cannot be written; the record before stays.
        """
        text = _canonical(record)
        whole = f'{{"format": {FORMAT}, "sha256": "{_digest(text.encode())}", "run": {text}}}\n'
        self._replace(self.record_path, whole.encode())
        self._used = _references(record)
        self.clear()

    def clear(self) -> None:
        """Deletes arrays that the record, as it was last read or written, does not refer to.

        Raises:
            SnapshotError: when the folder cannot be written.
        """
        used = {f"{name}.npy" for name in self._used}
        with _writing(self._arrays):
            for file in self._arrays.glob("*"):
                if file.name not in used:
                    file.unlink(missing_ok=True)

    def size(self, record: dict) -> int:
        """Returns the bytes of the arrays that a record refers to."""
        files = (self._file(name) for name in _references(record))
        return sum(file.stat().st_size for file in files if file.exists())

    def record_size(self) -> int:
        """Returns the bytes of the record, 0 where there is none yet."""
        return self.record_path.stat().st_size if self.record_path.exists() else 0

    def put(self, array: np.ndarray) -> dict[str, Any]:
        """Stores an array, unless it is there, and returns a reference for the record.

        Raises:
            SnapshotError: when the folder cannot be written.
        """
        header, content = _file_of(array)
        name = _digest(header, content)
        if not self._file(name).exists():
            self._replace(self._file(name), header, content)
        return {"array": name, "dtype": array.dtype.name}

    def put_part(
        self, array: np.ndarray, whole: dict[str, Any], keep: dict[int, np.ndarray]
    ) -> dict[str, Any]:
        """Stores an array as what is left of one that is stored; if it is not that, like any other.

        Args:
            array: the array.
            whole: reference to the other.
            keep: axis to the positions that are left.

        Raises:
            SnapshotError: when the folder cannot be written, or the other array is damaged.
        """
        left = self._positions(whole)
        for axis, at in keep.items():
            left[axis] = left[axis][at] if axis in left else at
        if whole["dtype"] != array.dtype.name or not self._is_left(array, whole["array"], left):
            return self.put(array)
        take = [
            self.put(left[at].astype("int32")) if at in left else None for at in range(array.ndim)
        ]
        return {**whole, "take": take}

    def get(self, reference: dict[str, Any]) -> np.ndarray:
        """Returns the array that a reference stands for.

        Raises:
            SnapshotError: when a file of it is missing or damaged.
        """
        array = self._read(reference["array"])
        for axis, positions in self._positions(reference).items():
            array = array.take(positions, axis=axis)
        dtype = np.dtype(reference["dtype"])
        return array if array.dtype.name == dtype.name else array.view(dtype)

    def shape(self, reference: dict[str, Any]) -> tuple[int, ...]:
        """Returns the shape of an array, and checks its file without keeping it in memory.

        Raises:
            SnapshotError: when a file of it is missing or damaged.
        """
        file = self._file(reference["array"])
        with _reading(file), open(file, "rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != reference["array"]:
                raise _damaged(file, CHECKSUM)
            stream.seek(0)
            shape = list(_header(stream)[0])
        for axis, positions in self._positions(reference).items():
            shape[axis] = len(positions)
        return tuple(shape)

    def _positions(self, reference: dict[str, Any]) -> dict[int, np.ndarray]:
        take = enumerate(reference.get("take", ()))
        return {axis: self.get(stored) for axis, stored in take if stored is not None}

    def _is_left(self, array: np.ndarray, name: str, left: dict[int, np.ndarray]) -> bool:
        """Whether an array is, to the bit, what is left of one that is stored."""
        array, file = _plain(array), self._file(name)
        with _reading(file), open(file, "rb") as stream:
            shape, fortran, dtype = _header(stream)
            after = tuple(len(left[at]) if at in left else size for at, size in enumerate(shape))
            if fortran or (after, dtype) != (array.shape, array.dtype):
                return False
            # Block by block: it may be large, and what was trained differs from the first one on.
            row = math.prod(shape[1:]) * dtype.itemsize
            count, rows = max(BLOCK // max(row, 1), 1), left.get(0, np.arange(shape[0]))
            for first in range(0, shape[0], count):
                stored = np.frombuffer(stream.read(min(count, shape[0] - first) * row), dtype)
                begin, end = np.searchsorted(rows, (first, first + count))
                stored = stored.reshape(-1, *shape[1:])[rows[begin:end] - first]
                for axis, at in left.items():
                    stored = stored.take(at, axis=axis) if axis else stored
                if stored.tobytes() != array[begin:end].tobytes():
                    return False
        return True

    def _read(self, name: str) -> np.ndarray:
        file = self._file(name)
        with _reading(file), open(file, "rb") as stream:
            content = bytearray(file.stat().st_size)
            stream.readinto(content)
        if _digest(content) != name:
            raise _damaged(file, CHECKSUM)
        stream = io.BytesIO(content[:HEADER])
        shape, fortran, dtype = _header(stream)
        flat = np.frombuffer(content, dtype, offset=stream.tell())
        return flat.reshape(shape, order="F" if fortran else "C")

    def _file(self, name: str) -> Path:
        return self._arrays / f"{name}.npy"

    def _replace(self, file: Path, *content: Any) -> None:
        with _writing(file):
            write_whole(file, *content)


def _plain(array: np.ndarray) -> np.ndarray:
    """The same bits in a type that NumPy's format knows; not bfloat16 and float8."""
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.isbuiltin == 2 else array


def _file_of(array: np.ndarray) -> tuple[bytes, np.ndarray]:
    """What `np.save` writes: the header, and the content as bytes, not copied."""
    plain, header = np.ascontiguousarray(_plain(array)), io.BytesIO()
    about = {"descr": plain.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(header, about)
    return header.getvalue(), plain.reshape(-1).view("u1")


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads the header of a file of NumPy's: shape, order and type."""
    np.lib.format.read_magic(stream)
    return np.lib.format.read_array_header_1_0(stream)


@contextmanager
def _reading(file: Path):
    try:
        yield
    except (OSError, ValueError) as error:
        raise _damaged(file, f"{type(error).__name__}: {error}") from error


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


def _digest(*content: Any) -> str:
    found = hashlib.sha256()
    for one in content:
        found.update(one)
    return found.hexdigest()


def _references(record: Any) -> set[str]:
    """Names of the arrays that a record refers to, however deep."""
    found: set[str] = set()
    if isinstance(record, dict):
        if isinstance(record.get("array"), str):
            found.add(record["array"])
        record = list(record.values())
    return found.union(*map(_references, record)) if isinstance(record, list) else found


def _damaged(file: Path, reason: str) -> SnapshotError:
    return SnapshotError(
        f"{file} is missing or damaged ({reason}). Restore the file from a copy, or give an empty "
        "directory to begin anew."
    )
