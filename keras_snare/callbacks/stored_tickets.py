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

    The folder belongs to the run: `ticket_00.npz` and so on, of an earlier one, are removed.

    Args:
        directory: path of the folder; made if it is not there.

    Raises:
        SnapshotError: when it cannot be made or emptied.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = Path(directory)
        self._paths: list[Path] = []
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            for path in self.directory.iterdir():
                if _NAME.fullmatch(path.name):
                    path.unlink()
        except OSError as error:
            raise SnapshotError(
                f"{self.directory} cannot be used as a folder ({type(error).__name__}: {error}). "
                "Give another `directory`."
            ) from error

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
