"""`keras-snare unpack`: the model of a packed file."""

import json as json_format
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

import keras_snare
from keras_snare.cli.inputs import check_file
from keras_snare.cli.options import Json, KerasOutput
from keras_snare.cli.outputs import check_output, quiet, show


@dataclass(frozen=True)
class _Unpacked:
    path: str
    bytes: int
    before: int
    params: int

    def to_json(self) -> str:
        """Returns the figures as a JSON object."""
        return json_format.dumps(asdict(self))

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.params:,} parameters, {self.bytes:,} bytes of {self.before:,} "
            "packed ones"
        )


def unpack(
    packed: Annotated[Path, typer.Argument(help="A .snare file.")],
    output: KerasOutput,
    max_numbers: Annotated[int, typer.Option(help="The most numbers that the model may have.")] = 2
    ** 28,
    json: Json = False,
) -> None:
    """Writes the model of a packed file as a .keras file. Nothing that is in the file is run."""
    check_output(output, ".keras")
    check_file(packed, "a packed model")
    with quiet():
        model = keras_snare.unpack(packed, max_numbers=max_numbers)
        keras_snare.save_model(model, output)
    sizes = output.stat().st_size, packed.stat().st_size
    show(_Unpacked(str(output), *sizes, model.count_params()), json)
