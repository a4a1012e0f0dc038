"""`keras-snare report`: what a stored search did."""

from pathlib import Path
from typing import Annotated

import typer

from keras_snare.cli.inputs import check_file
from keras_snare.cli.options import Json
from keras_snare.cli.outputs import check_output, quiet, show
from keras_snare.report import CompressionReport
from keras_snare.search import stored_report


def report(
    source: Annotated[
        Path, typer.Argument(help="The directory of a run, or a report in a .json file.")
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write it as a page, to this .html file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw it, to this .png, .svg or .pdf file.")
    ] = None,
    json: Json = False,
) -> None:
    """Shows the trials of a search, its result, and the best networks by size and by operations.

    The run may be finished, under way or stopped. --html and --plot need matplotlib.
    """
    if html is not None:
        check_output(html, ".html")
    if plot is not None:
        check_output(plot, ".png", ".svg", ".pdf")
    with quiet():
        found = _read(source)
        if html is not None:
            found.to_html(html)
        if plot is not None:
            found.plot(plot)
    show(_Tables(found), json)


class _Tables:
    """A report as a summary, and a table of the Pareto fronts."""

    def __init__(self, found: CompressionReport) -> None:
        self.to_json = found.to_json
        self._found = found

    def __str__(self) -> str:
        return f"{self._found.summary()}\n{self._found.pareto_table()}"


def _read(source: Path) -> CompressionReport:
    if source.is_dir():
        return stored_report(source)
    check_file(source, "a run or a report")
    return CompressionReport.from_json(source.read_text(encoding="utf-8"))
