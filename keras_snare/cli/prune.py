"""`keras-snare prune`: a share of the units, removed at once."""

from typing import Annotated

import typer

import keras_snare
from keras_snare.cli.compiling import compiled
from keras_snare.cli.data import read_examples
from keras_snare.cli.inputs import read_model
from keras_snare.cli.options import (
    BatchSize,
    Code,
    Compensate,
    Data,
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
    parts,
)
from keras_snare.cli.outputs import check_output, quiet, show
from keras_snare.criteria import get_criterion


def prune(
    model: ModelFile,
    output: KerasOutput,
    amount: Annotated[float, typer.Option(help="Share of the units to remove, as 0.5.")],
    criterion: Annotated[
        str, typer.Option(help="Which units go: the lowest by l1_in, l2, fpgm, taylor and others.")
    ] = "l1_in",
    scope: Annotated[
        str, typer.Option(help="global compares units of all layers; local cuts each alike.")
    ] = "global",
    normalize: Annotated[
        str | None, typer.Option(help="How scores are made comparable: rms, mean, max, rank, ...")
    ] = None,
    data: Data = None,
    batch_size: BatchSize = 32,
    layers: Layers = None,
    rounds: Annotated[int, typer.Option(help="Rounds in which what is to go is chosen.")] = 1,
    round_to: RoundTo = None,
    fold_constants: Annotated[
        bool, typer.Option("--fold-constants", help="Biases keep what removed units always gave.")
    ] = False,
    compensate: Compensate = None,
    optimizer: Optimizer = None,
    loss: Loss = None,
    metrics: MetricNames = None,
    learning_rate: LearningRate = None,
    code: Code = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Removes a share of a model's units and writes the smaller model.

    Train it on afterwards. Criteria on gradients, such as taylor, need labelled --data and a
    compiled model.
    """
    check_output(output, ".keras")
    get_criterion(criterion)
    with quiet():
        found = read_model(model, code, trust, compiled=loss is None)
        compiled(found, optimizer, loss, metrics, learning_rate)
        report = keras_snare.prune(
            found,
            amount,
            criterion=criterion,
            scope=scope,
            normalize=normalize,
            data=None if data is None else read_examples(data, found, batch_size=batch_size),
            layers=parts(layers),
            rounds=rounds,
            round_to=round_to,
            fold_constants=fold_constants,
            compensate=compensate,
        )
        keras_snare.save_model(found, output)
    show(report, json)
