"""`keras-snare factorize`: layers as products of smaller ones."""

from typing import Annotated, Any

import typer

import keras_snare
from keras_snare.cli.data import read_examples
from keras_snare.cli.inputs import read_model
from keras_snare.cli.options import (
    BatchSize,
    Code,
    Data,
    Json,
    KerasOutput,
    Layers,
    ModelFile,
    Trust,
    parts,
)
from keras_snare.cli.outputs import check_output, quiet, show


def factorize(
    model: ModelFile,
    output: KerasOutput,
    rank: Annotated[
        list[str] | None,
        typer.Option(
            help="0.5 (share of each kernel), energy:0.9, vbmf, full, 8, or LAYER=RANK, which may "
            "be given again; LAYER=4,6 for tucker."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Parameters of the whole model, as a share (0.25) or a number (20000)."),
    ] = None,
    method: Annotated[str, typer.Option(help="svd, tucker, spatial or auto.")] = "svd",
    layers: Layers = None,
    data: Data = None,
    batch_size: BatchSize = 128,
    sensitivity: Annotated[
        str, typer.Option(help="What a budget spares: energy, or loss, on labelled --data.")
    ] = "energy",
    code: Code = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Writes a trained model whose layers are products of smaller ones.

    Layers that would not become smaller are left alone. Train it on afterwards.
    """
    check_output(output, ".keras")
    ranks, size = _ranks(rank), None if budget is None else _number(budget)
    if isinstance(size, str):
        raise ValueError(f"--budget is a share or a number. Received: {size}.")
    with quiet():
        found = read_model(model, code, trust, compiled=True)
        smaller = keras_snare.factorize(
            found,
            ranks,
            method=method,
            layers=parts(layers),
            budget=size,
            data=None if data is None else read_examples(data, found, batch_size=batch_size),
            batch_size=batch_size,
            sensitivity=sensitivity,
        )
        keras_snare.save_model(smaller, output)
    show(keras_snare.factorize_report(smaller), json)


def _ranks(words: list[str] | None) -> Any:
    """The rank of every layer, or a mapping from names of layers to theirs."""
    if not words:
        return None
    pairs = [one.rpartition("=") for one in words]
    if len(words) == 1 and not pairs[0][1]:
        return _number(words[0])
    if not all(name for name, _, _ in pairs):
        raise ValueError(
            f"--rank is one rank, or LAYER=RANK for each layer. Received: {' '.join(words)}."
        )
    return {name: _rank(value) for name, _, value in pairs}


def _rank(text: str) -> Any:
    values = [_number(one) for one in text.split(",")]
    return tuple(values) if len(values) > 1 else values[0]


def _number(text: str) -> int | float | str:
    """A number where it is one: whole without a point."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
