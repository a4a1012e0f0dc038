"""The command `keras-snare`: what the library does, for files, from a shell."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, or 2 for bad input, with a line that says why.

    Args:
        arguments: words behind `keras-snare`; None takes them from the shell.
    """
    try:
        import typer  # noqa: F401  (only to see whether it is there)
    except ImportError:
        print(
            "keras-snare: the command line needs the package typer. Install it with "
            "pip install keras-snare[cli].",
            file=sys.stderr,
        )
        return 2
    from keras_snare.cli.app import run

    return run(sys.argv[1:] if arguments is None else list(arguments))
