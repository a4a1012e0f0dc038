"""Tickets in a folder."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_snare.errors import SnapshotError
from keras_snare.masking import Ticket

_NAME = re.compile(r"ticket_\d+\.npz")


class StoredTickets(Sequence[Ticket]):
    """The tickets of a run by round, each read from its file when it is asked for.

    The folder belongs to the callback: `ticket_00.npz` and so on, of its last run, are removed.

    Args:
        directory: path of the folder; made if it is not there.

    Raises:
        SnapshotError: when it cannot be made or emptied.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._paths: list[Path] = []
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            for path in _tickets(self.directory):
                path.unlink()
        except OSError as error:
            raise SnapshotError(
                f"{self.directory} cannot be used as a folder ({type(error).__name__}: {error}). "
                "Give another `directory`."
            ) from error

    @staticmethod
    def check(directory: str | os.PathLike[str], before: Any) -> None:
        """Checks, before any training, that no tickets would be lost.

        Args:
            directory: path of the folder.
            before: the tickets of the last run of the same callback.

        Raises:
            SnapshotError: when the folder holds tickets of another callback.
        """
        own = isinstance(before, StoredTickets) and before.directory == Path(directory)
        found = [] if own or not Path(directory).is_dir() else _tickets(Path(directory))
        if found:
            raise SnapshotError(
                f"Expected a `directory` without tickets. Received: {found[0]}, of another run, "
                "which would be lost. Give another folder, or remove them."
            )

    def append(self, ticket: Ticket) -> None:
        """Writes the next ticket.

        Raises:
            SnapshotError: when it cannot be written.
        """
        path = self.directory / f"ticket_{len(self._paths):02d}.npz"
        ticket.save(path)
        self._paths.append(path)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [Ticket.load(path) for path in self._paths[at]]
        return Ticket.load(self._paths[at])

    def __iter__(self) -> Iterator[Ticket]:
        return map(Ticket.load, self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        return f"StoredTickets({len(self)} in {str(self.directory)!r})"


def _tickets(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
