"""The commands together, and what a shell sees of an error."""

import sys
import warnings

import typer

from keras_snare import __version__
from keras_snare.cli.quantize import quantize
from keras_snare.errors import SnareError

app = typer.Typer(
    name="keras-snare",
    help="Makes trained Keras 3 models small.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(quantize)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(
        False, "--version", callback=_tell_version, is_eager=True, help="Tell the version and exit."
    ),
) -> None:
    """Makes trained Keras 3 models small."""


def run(arguments: list[str]) -> int:
    """Runs one command.

    What is wrong with the user's input is told in one line, and the exit code is 2. Any other
    exception is a defect of ours, and is raised.

    Args:
        arguments: the words behind `keras-snare`; none asks for help.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return app(arguments or ["--help"], prog_name="keras-snare", standalone_mode=False) or 0
    except typer.TyperException as error:
        return _refuse(error.format_message())
    except (ValueError, TypeError, ImportError, OSError, SnareError) as error:
        return _refuse(str(error) or type(error).__name__)
    except typer.Abort:
        return _refuse("stopped")


def _refuse(message: str) -> int:
    print("keras-snare: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Shows a warning without the line of ours that gave it."""
    print(f"keras-snare: warning: {' '.join(str(message).split())}", file=sys.stderr)
