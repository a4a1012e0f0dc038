"""`keras-snare compare`: what a smaller model gains and loses."""

from pathlib import Path
from typing import Annotated

import typer

import keras_snare
from keras_snare.cli.compiling import check_compiled
from keras_snare.cli.data import read_examples
from keras_snare.cli.inputs import read_model
from keras_snare.cli.options import Code, Data, Json, ModelFile, Trust
from keras_snare.cli.outputs import quiet, show


def compare(
    before: ModelFile,
    after: Annotated[Path, typer.Argument(help="The model to compare, with the same inputs.")],
    data: Data = None,
    batch_size: Annotated[int, typer.Option(help="Examples that a timed run computes.")] = 1,
    repeats: Annotated[int, typer.Option(help="Timed runs of each model.")] = 50,
    threads: Annotated[int, typer.Option(help="Threads that LiteRT may use.")] = 1,
    code: Code = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Compares two models: metrics, parameters, operations, bytes of files, and time of a run.

    Metrics need --data, and models that are compiled in their files.
    """
    with quiet():
        pair = [read_model(one, code, trust, compiled=True) for one in (before, after)]
        examples = None
        if data is not None:
            for one in pair:
                check_compiled(one)
            examples = read_examples(data, pair[0], labelled=True)
        report = keras_snare.compare(
            *pair, data=examples, batch_size=batch_size, repeats=repeats, threads=threads
        )
    show(report, json)
