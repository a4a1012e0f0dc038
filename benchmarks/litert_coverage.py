"""Which networks `to_litert` writes to a .tflite file, and how far the file is from Keras.

    python benchmarks/litert_coverage.py --output benchmarks/results/litert_coverage.json

Every family of `keras.applications` stands for itself by its smallest member, with random weights
and statistics; `KERAS_SNARE_DATA` names a folder with the three MLPerf Tiny networks in `models`,
as for `mlperf_tiny.py`. Writes the results, and a part of `docs/coverage.md` from them.
"""

import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import coverage
import keras
import known_networks
import numpy as np
import quantize_coverage

import keras_snare
from keras_snare.quantize.trial import TOLERANCES

HEADING = "## To LiteRT, after training"
EXAMPLES = 16


def run(name: str) -> dict[str, Any]:
    """What becomes of one model in each mode."""
    model = quantize_coverage.build(name)
    data = np.random.default_rng(1).random((EXAMPLES, *model.input_shape[1:]), dtype=np.float32)
    data *= 255 if name in coverage.FAMILIES else 1
    return {str(mode): converted(model, mode, data) for mode in TOLERANCES}


def converted(model: keras.Model, mode: str | None, data: np.ndarray) -> dict[str, Any]:
    """A file in one mode; the difference is recorded, however large it is."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        try:
            report = keras_snare.to_litert(
                model, path, mode, representative_data=data, tolerance=1e9
            )
        except keras_snare.UnsupportedModelError as error:
            return {"refused": str(error)}
    return {
        "bytes": report.bytes,
        "difference": report.difference,
        "latency_ms": report.latency_ms,
        "seconds": time.perf_counter() - start,
    }


def page(results: dict[str, Any]) -> str:
    """The results as a part of a page."""
    lines = [
        HEADING,
        "",
        "Written by `python benchmarks/litert_coverage.py` from",
        "`benchmarks/results/litert_coverage.json`. The same models in files of",
        "`keras_snare.to_litert`: megabytes; the greatest difference from Keras on",
        f"{EXAMPLES} random inputs, as a share of the greatest output; and the median time of one",
        "example on one thread, of a machine that did other work as well.",
        "",
        "| model | float32 | float16 | dynamic | int8 | int16x8 |",
        "|---|---|---|---|---|---|",
    ]
    reasons = []
    for name, modes in results["models"].items():
        lines.append(f"| {name} | {' | '.join(cell(modes[str(mode)]) for mode in TOLERANCES)} |")
        for mode, found in modes.items():
            if "refused" in found:
                told = found["refused"].split("Received: ")[-1].split(". ")
                told = textwrap.shorten(". ".join(dict.fromkeys(told)), 240, placeholder=" ...")
                reasons.append(f"- {name}, {mode}: {told}")
    if reasons:
        lines += ["", "Why no file was written:", "", *reasons]
    versions = ", ".join(f"{name} {one}" for name, one in results["versions"].items())
    lines += ["", f"On {results['machine']['processors']} processors. Versions: {versions}.", ""]
    return "\n".join(lines)


def cell(found: dict[str, Any]) -> str:
    """One file in a table."""
    if "refused" in found:
        return "refused"
    size, time_taken = found["bytes"] / 1e6, found["latency_ms"]
    return f"{size:.2f} MB, {found['difference']:.1e}, {time_taken:.2g} ms"


if __name__ == "__main__":
    known_networks.main("Files for LiteRT, of known networks.", run, HEADING, page)
