"""`keras-snare pack`: a model as a file of few bytes."""

from pathlib import Path
from typing import Annotated

import typer

import keras_snare
from keras_snare.cli.data import read_examples
from keras_snare.cli.inputs import read_model
from keras_snare.cli.options import BatchSize, Code, Data, Json, ModelFile, Trust, Validation
from keras_snare.cli.outputs import check_output, quiet, show


def pack(
    model: ModelFile,
    output: Annotated[Path, typer.Argument(help="The .snare file to write.")],
    quality: Annotated[
        float | None, typer.Option(help="From 1 to 100; without it every bit is kept.")
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(help="How much worse the metric may be, as 0.001; finds the quality itself."),
    ] = None,
    data: Data = None,
    validation: Validation = None,
    monitor: Annotated[str | None, typer.Option(help="The metric; the model's first if none.")] = (
        None
    ),
    mode: Annotated[
        str, typer.Option(help="max or min: which way the metric is better; or auto.")
    ] = "auto",
    with_compiled: Annotated[
        bool, typer.Option("--compiled", help="Loss, metrics and optimizer go into the file.")
    ] = False,
    batch_size: BatchSize = 128,
    code: Code = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Writes a trained model to a file of few bytes, which unpack makes a model of again.

    With training --data, which need a compiled model, the file becomes half as large and less.
    """
    check_output(output, ".snare")
    compiled = with_compiled or data is not None or validation is not None
    with quiet():
        found = read_model(model, code, trust, compiled=compiled)
        examples = [
            None if one is None else read_examples(one, found, batch_size=batch_size, labelled=True)
            for one in (data, validation)
        ]
        report = keras_snare.pack(
            found,
            output,
            quality=quality,
            max_loss=max_loss,
            data=examples[0],
            validation_data=examples[1],
            monitor=monitor,
            mode=mode,
            compiled=with_compiled,
            batch_size=batch_size,
        )
    show(report, json)
