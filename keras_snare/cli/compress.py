"""`keras-snare compress`: the search for the smallest model that is still good enough."""

from pathlib import Path
from typing import Annotated, Any

import keras
import typer

import keras_snare
from keras_snare.cli.compiling import check_compiled, compiled
from keras_snare.cli.data import read_examples, split
from keras_snare.cli.inputs import read_model
from keras_snare.cli.options import (
    BatchSize,
    Code,
    Compensate,
    Json,
    KerasOutput,
    Layers,
    LearningRate,
    Loss,
    MetricNames,
    ModelFile,
    Optimizer,
    RoundTo,
    Trust,
    given,
    parts,
)
from keras_snare.cli.outputs import check_output, quiet, show
from keras_snare.cli.progress import trials_shown
from keras_snare.criteria import get_criterion
from keras_snare.files import write_whole


def compress(
    model: ModelFile,
    output: KerasOutput,
    train: Annotated[
        str,
        typer.Option(
            help="Examples to train on: an .npz file (x and y, or the names of inputs and "
            "outputs), a folder that tf.data.Dataset.save wrote, a folder of images (one folder a "
            "class; pixels 0 to 255), or FILE.py:NAME, a function that returns them."
        ),
    ],
    validation: Annotated[
        str | None, typer.Option(help="Examples to decide on, in the same forms.")
    ] = None,
    validation_split: Annotated[
        float | None,
        typer.Option(help="Share of the arrays of --train, the last, to decide on instead."),
    ] = None,
    eps: Annotated[float, typer.Option(help="How much worse the metric may become.")] = 0.005,
    monitor: Annotated[str, typer.Option(help="The metric that decides.")] = "val_accuracy",
    mode: Annotated[
        str, typer.Option(help="max or min: which way the metric is better; or auto.")
    ] = "auto",
    criterion: Annotated[str, typer.Option(help="Which units go first.")] = "taylor",
    retrain_epochs: Annotated[int, typer.Option(help="Epochs of training of a trial.")] = 5,
    warmup_epochs: Annotated[int, typer.Option(help="Epochs before the first cut.")] = 0,
    first_step: Annotated[
        float | None, typer.Option(help="Share of a layer that its first trial removes.")
    ] = None,
    min_step: Annotated[
        float | None, typer.Option(help="A layer leaves the search below this share.")
    ] = None,
    max_trials: Annotated[int | None, typer.Option(help="Trials at most.")] = None,
    max_epochs: Annotated[int | None, typer.Option(help="Epochs of training at most.")] = None,
    layers: Layers = None,
    round_to: RoundTo = None,
    retrain: Annotated[
        str, typer.Option(help="full, or blocks: only the layers around a cut are trained.")
    ] = "full",
    compensate: Compensate = None,
    prune_inputs: Annotated[
        bool, typer.Option("--prune-inputs", help="Also drop input features.")
    ] = False,
    batch_size: BatchSize = 32,
    seed: Annotated[int | None, typer.Option(help="Fixes what is found.")] = None,
    engine: Annotated[str, typer.Option(help="serial, or ray for several trials at once.")] = (
        "serial"
    ),
    workers: Annotated[int, typer.Option(help="Trials at once, with --engine ray.")] = 1,
    directory: Annotated[
        Path | None,
        typer.Option(help="Keeps the run; the same command goes on with one that was stopped."),
    ] = None,
    directory_limit: Annotated[
        float | None, typer.Option(help="Times the model's bytes that the directory may take.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="A .json file for the report.")] = None,
    optimizer: Optimizer = None,
    loss: Loss = None,
    metrics: MetricNames = None,
    learning_rate: LearningRate = None,
    code: Code = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Finds the smallest model whose metric stays within eps of the best, and writes it.

    The model is compiled in its file, or by --loss, --optimizer and --metrics. A stopped command
    writes no model; with --directory it goes on where it was.
    """
    _check(output, report, directory, criterion, validation, validation_split)
    with quiet():
        found = read_model(model, code, trust, compiled=loss is None)
        compiled(found, optimizer, loss, metrics, learning_rate)
        check_compiled(found)
        examples = _examples(found, train, validation, validation_split, batch_size)
        options = given(
            eps=eps,
            monitor=monitor,
            mode=mode,
            criterion=criterion,
            retrain_epochs=retrain_epochs,
            warmup_epochs=warmup_epochs,
            first_step=first_step,
            min_step=min_step,
            max_trials=max_trials,
            max_epochs=max_epochs,
            layers=parts(layers),
            round_to=round_to,
            retrain=retrain,
            compensate=compensate,
            scoring_data=None if compensate is None else examples[0],
            prune_inputs=prune_inputs,
            batch_size=batch_size,
            seed=seed,
            engine=engine,
            workers=workers,
            directory=directory,
            directory_limit=directory_limit,
        )
        with trials_shown(max_trials) as tell:
            small, made = keras_snare.compress(found, *examples, **options, on_trial=tell)
        keras_snare.save_model(small, output)
        if report is not None:
            write_whole(report, made.to_json().encode())
    show(_Shown(made), json)


class _Shown:
    """The report as its summary."""

    def __init__(self, report: keras_snare.CompressionReport) -> None:
        self.to_json = report.to_json
        self._summary = report.summary

    def __str__(self) -> str:
        return self._summary()


def _check(
    output: Path,
    report: Path | None,
    directory: Path | None,
    criterion: str,
    validation: str | None,
    share: float | None,
) -> None:
    check_output(output, ".keras")
    if report is not None:
        check_output(report, ".json")
    if directory is not None and directory.exists() and not directory.is_dir():
        raise NotADirectoryError(f"--directory is a folder. Received the file {directory}.")
    get_criterion(criterion)
    if (validation is None) == (share is None):
        raise ValueError(
            "Expected examples to decide on: --validation, or --validation-split, and not both."
        )


def _examples(
    model: keras.Model, train: str, validation: str | None, share: float | None, batch_size: int
) -> tuple[Any, Any]:
    """What to train on, and what to decide on."""
    first = read_examples(train, model, batch_size=batch_size, labelled=True)
    if validation is None:
        assert share is not None, "one of them is given"
        return split(first, share)
    return first, read_examples(validation, model, batch_size=batch_size, labelled=True)
