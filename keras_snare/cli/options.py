"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

ModelFile = Annotated[Path, typer.Argument(help="A model in a .keras or .h5 file.")]
KerasOutput = Annotated[Path, typer.Argument(help="The .keras file to write.")]
Code = Annotated[
    Path | None, typer.Option(help="A Python file that registers layers of the model.")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Run Python code that the model's file holds.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
Data = Annotated[
    str | None,
    typer.Option(
        help="Examples: an .npz file (x and y, or the names of inputs and outputs), a folder that "
        "tf.data.Dataset.save wrote, a folder of images (one folder a class; pixels 0 to 255), or "
        "FILE.py:NAME, a function that returns them."
    ),
]
Validation = Annotated[
    str | None, typer.Option(help="Examples that the metric is taken on, in the forms of --data.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Examples in a batch.")]
Layers = Annotated[
    list[str] | None,
    typer.Option(help="A layer's name, or a regular expression; may be given again. All if none."),
]
RoundTo = Annotated[
    int | None, typer.Option(help="Widths stay multiples of it, such as 8 for hardware.")
]
Compensate = Annotated[
    str | None,
    typer.Option(help="least_squares or mean: refits what reads the removed units, on the data."),
]
Optimizer = Annotated[
    str | None, typer.Option(help="Compiles the model anew: a name that Keras knows, with --loss.")
]
Loss = Annotated[str | None, typer.Option(help="Compiles the model anew: a name that Keras knows.")]
MetricNames = Annotated[
    list[str] | None, typer.Option("--metrics", help="With --loss; may be given again.")
]
LearningRate = Annotated[
    float | None, typer.Option(help="Of the optimizer, also of the one in the model's file.")
]


def given(**options: Any) -> dict[str, Any]:
    """Returns the options that were given, so that the library's defaults hold for others."""
    return {name: value for name, value in options.items() if value not in (None, [])}


def parts(words: list[str] | None) -> list[str] | None:
    """Returns the words of an option that may be given again, or None when it was not."""
    return list(words) if words else None
