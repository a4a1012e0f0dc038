"""Files that are written whole or not at all."""

import os
from pathlib import Path
from typing import Any


def write_whole(path: str | os.PathLike[str], *content: Any) -> None:
    """Writes a file under another name, then renames it, so that no crash leaves half of it.

    Args:
        path: the file; one that is there is replaced when the new one is whole.
        content: what goes into it: bytes, or arrays of bytes, one after the other.

    Raises:
        OSError: when it cannot be written; what was there stays.
    """
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        with open(unfinished, "wb") as stream:
            stream.writelines(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
