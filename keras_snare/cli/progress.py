"""A bar on stderr, a step for each trial."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from keras_snare.records import TrialRow


@contextmanager
def trials_shown(total: int | None) -> Iterator[Callable[[TrialRow], None]]:
    """Shows trials while it is open; nothing where stderr is no terminal.

    Args:
        total: how many there are at most, or None where that is not known.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("warming up", total=total)

        def tell(row: TrialRow) -> None:
            text = f"trial {row.trial}: {row.params:,} parameters"
            progress.update(task, completed=row.trial, description=text)

        yield tell
