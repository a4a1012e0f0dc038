"""`keras-snare quantize`: a file for LiteRT, or one that Keras itself has quantized."""

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_snare.cli.data import read_arrays
from keras_snare.cli.inputs import function_of, read_model
from keras_snare.cli.options import Code, Json, ModelFile, Trust
from keras_snare.cli.outputs import quiet, show
from keras_snare.quantize import to_litert
from keras_snare.quantize.keras_modes import MODES, keras_quantized
from keras_snare.quantize.options import check_path

_LITERT = {
    "float32": None,
    "float16": "float16",
    "dynamic": "dynamic",
    "int8": "int8",
    "int16x8": "int16x8",
}


def quantize(
    model: ModelFile,
    output: Annotated[Path, typer.Argument(help="What to write: a .tflite or a .keras file.")],
    mode: Annotated[
        str,
        typer.Option(
            help=f"For .tflite one of {', '.join(_LITERT)}; for .keras one of {', '.join(MODES)}."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="Examples of the inputs: an .npz file (x, or the inputs' names), or FILE.py:NAME, "
            "a function that returns them. Needed for int8 and int16x8 in .tflite files."
        ),
    ] = None,
    input_type: Annotated[
        str | None, typer.Option(help="What a .tflite file in integers takes: int8, uint8, int16.")
    ] = None,
    output_type: Annotated[str | None, typer.Option(help="The same of what it returns.")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="How far a .tflite file may be off, as a share of the greatest output."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="FILE.py:NAME, a function that takes the model and returns Keras's configuration "
            "of its quantization. Needed for gptq and awq."
        ),
    ] = None,
    code: Code = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Quantizes a trained model, tries the result and writes it."""
    litert = {"input_type": input_type, "output_type": output_type, "tolerance": tolerance}
    _check(output, mode, litert, config)
    with quiet():
        found = read_model(model, code, trust)
        arrays = None if data is None else read_arrays(data, found)
        if output.suffix == ".tflite":
            chosen = {name: value for name, value in litert.items() if value is not None}
            report: Any = to_litert(
                found, output, _LITERT[mode], representative_data=arrays, **chosen
            )
        else:
            made = None if config is None else function_of(config)
            report = keras_quantized(found, output, mode, config=made, data=arrays)
    show(report, json)


def _check(output: Path, mode: str, litert: dict[str, Any], config: str | None) -> None:
    modes = {".tflite": tuple(_LITERT), ".keras": MODES}.get(output.suffix)
    if modes is None:
        raise ValueError(f"Expected an output that ends in .tflite or .keras. Received: {output}.")
    if mode not in modes:
        raise ValueError(
            f"For {output.suffix} files, --mode is one of {', '.join(modes)}. Received: {mode}."
        )
    of_others = {name: value for name, value in litert.items() if value is not None}
    if output.suffix == ".tflite":
        of_others = {"config": config} if config is not None else {}
    if of_others:
        names = ", ".join("--" + name.replace("_", "-") for name in of_others)
        raise ValueError(f"{names}: not for {output.suffix} files. Leave it out.")
    check_path(output)
