"""What commands write and print."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import typer

from keras_snare.quantize.options import check_path


def check_output(path: Path, *suffixes: str) -> None:
    """Checks, before any work, that a file can be written.

    Raises:
        ValueError: when it has another ending.
        OSError: when nothing can be written there.
    """
    if path.suffix not in suffixes:
        raise ValueError(
            f"Expected an output that ends in {' or '.join(suffixes)}. Received: {path}."
        )
    check_path(path)


@contextmanager
def quiet() -> Iterator[None]:
    """What Keras and the library print goes to stderr: stdout has the result alone."""
    with redirect_stdout(sys.stderr):
        yield


def show(report: Any, json: bool) -> None:
    """Prints a report, as a text or as JSON."""
    typer.echo(report.to_json() if json else str(report))
