"""The commands together, and what a shell sees of an error."""

import sys
import warnings

import tensorflow as tf
import typer

from keras_snare import __version__
from keras_snare.cli.compare import compare
from keras_snare.cli.compress import compress
from keras_snare.cli.factorize import factorize
from keras_snare.cli.inspect import inspect
from keras_snare.cli.pack import pack
from keras_snare.cli.prune import prune
from keras_snare.cli.quantize import quantize
from keras_snare.cli.report import report
from keras_snare.cli.unpack import unpack
from keras_snare.errors import SnareError

# What Typer returns of commands that Ctrl+C ended.
_STOPPED = 130

app = typer.Typer(
    name="keras-snare",
    help="Makes trained Keras 3 models small.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
# What its help ends with, by command.
_EXAMPLES = {
    inspect: "inspect model.keras",
    prune: "prune model.keras small.keras --amount 0.5 --criterion l1_in",
    compress: "compress model.keras small.keras --train data.npz --validation-split 0.2",
    factorize: "factorize model.keras small.keras --rank energy:0.9",
    quantize: "quantize model.keras model.tflite --mode int8 --data data.npz",
    pack: "pack model.keras model.snare --quality 60",
    unpack: "unpack model.snare model.keras",
    compare: "compare model.keras small.keras --data data.npz",
    report: "report runs/one",
}
for _command, _example in _EXAMPLES.items():
    app.command(epilog=f"\b\nExample:\n  keras-snare {_example}")(_command)


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

    What is wrong with the user's input is told in one line, and the exit code is 2; it is 130 for
    Ctrl+C. Any other exception is a defect of ours, and is raised.

    Args:
        arguments: the words behind `keras-snare`; none asks for help.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            words = arguments or ["--help"]
            code = app(words, prog_name="keras-snare", standalone_mode=False) or 0
            return _refuse("stopped", code) if code == _STOPPED else code
    except typer.TyperException as error:
        return _refuse(error.format_message())
    except (ValueError, TypeError, ImportError, OSError, SnareError) as error:
        return _refuse(str(error) or type(error).__name__)
    except tf.errors.InvalidArgumentError as error:
        # Values that the model cannot take, such as a class that it has no output for.
        return _refuse(f"TensorFlow refuses the data: {error.message.strip().splitlines()[0]}")
    except typer.Abort:
        return _refuse("stopped", _STOPPED)


def _refuse(message: str, code: int = 2) -> int:
    print("keras-snare: " + " ".join(message.split()), file=sys.stderr)
    return code


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Shows a warning without the line of ours that gave it."""
    print(f"keras-snare: warning: {' '.join(str(message).split())}", file=sys.stderr)
