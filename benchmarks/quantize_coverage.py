"""Which networks cross the bridge to tf_keras, and which of these TF-MOT then quantizes.

    python benchmarks/quantize_coverage.py --output benchmarks/results/quantize_coverage.json

Every family of `keras.applications` stands for itself by its smallest member, with random weights
and statistics. `KERAS_SNARE_DATA` names a folder with the three MLPerf Tiny networks in `models`,
as for `mlperf_tiny.py`; without it, they are left out. Writes the results, and a part of
`docs/coverage.md` from them.
"""

import os
import re
import time
from pathlib import Path
from typing import Any

import coverage
import keras
import known_networks
import mlperf_tiny
import numpy as np
import results_files

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize import to_tf_keras
from keras_snare.quantize.environment import tf_mot

CLASS = re.compile(r"<class '[\w.]*?(\w+)'>")
LIMIT = 1e-5  # as the page says
HEADING = "## To tf_keras, for TF-MOT"


def build(name: str) -> keras.Model:
    """One of the applications with random weights, or one of MLPerf Tiny's networks as trained."""
    if name in coverage.FAMILIES:
        return coverage.build(name)
    keras.utils.clear_session()
    return mlperf_tiny.load(Path(os.environ["KERAS_SNARE_DATA"]), name)


def run(name: str) -> dict[str, Any]:
    """All that is told of one model."""
    model = build(name)
    start = time.perf_counter()
    try:
        twin = to_tf_keras(model)
    except UnsupportedModelError as error:
        return {"refused": str(error)}
    seconds = time.perf_counter() - start
    inputs = np.random.default_rng(1).random((2, *model.input_shape[1:]), dtype=np.float32)
    inputs *= 255 if name in coverage.FAMILIES else 1
    here, there = np.asarray(model(inputs)), np.asarray(twin.model(inputs))
    return {
        "layers": len(twin.model.layers),
        "difference": float(np.abs(here - there).max()),
        "greatest_output": float(np.abs(here).max()),
        "seconds": seconds,
        **quantized(twin),
    }


def quantized(twin) -> dict[str, Any]:
    """Whether TF-MOT takes the twin by its default scheme, and its weights find their way back."""
    keras_of_tf_mot = tf_mot().quantization.keras
    start = time.perf_counter()
    try:
        model = keras_of_tf_mot.quantize_model(twin.model)
    except Exception as error:  # TF-MOT raises errors of many kinds.
        return {"tf_mot": f"{type(error).__name__}: {str(error).split('. ')[0]}"}
    variables = twin.variables(model)
    return {
        "tf_mot": "",
        "tf_mot_seconds": time.perf_counter() - start,
        "weights": len(variables),
        "weights_equal": all(np.array_equal(here, there) for here, there in variables),
    }


def page(results: dict[str, Any]) -> str:
    """The results as a part of a page."""
    lines = [
        HEADING,
        "",
        "Written by `python benchmarks/quantize_coverage.py` from",
        "`benchmarks/results/quantize_coverage.json`. The same models, and the three networks of",
        "MLPerf Tiny as their authors trained them, rebuilt by `keras_snare.quantize.to_tf_keras`.",
        "*Difference* is the greatest one of any output, also relative to the greatest output.",
        _limits(results["models"]),
        "*TF-MOT* tells whether `quantize_model` takes the result by its default 8-bit scheme;",
        "where it does, all weights were found again in what it made.",
        "",
        "| model | layers | difference | relative | bridge, s | TF-MOT |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in results["models"].items():
        if "refused" in found:
            told = found["refused"].split("Received: ")[-1]
            lines.append(f"| {name} | | | | | not rebuilt: {told} |")
            continue
        told = "`" + CLASS.sub(r"\1", found["tf_mot"]) + "`"
        if not found["tf_mot"]:
            told = "yes" if found["weights_equal"] else "yes, but it lost weights"
        relative = found["difference"] / found["greatest_output"]
        lines.append(
            f"| {name} | {found['layers']} | {found['difference']:.1e} | {relative:.1e} | "
            f"{found['seconds']:.1f} | {told} |"
        )
    versions = ", ".join(f"{name} {one}" for name, one in results["versions"].items())
    lines += ["", f"On {results['machine']['processors']} processors. Versions: {versions}.", ""]
    return "\n".join(lines)


def _limits(models: dict[str, Any]) -> str:
    """How the differences lie to the limit."""
    built = {name: one for name, one in models.items() if "refused" not in one}
    above = [name for name, one in built.items() if one["difference"] > LIMIT]
    relative = {
        name: one["difference"] / max(one["greatest_output"], 1.0) for name, one in built.items()
    }
    missed = [name for name, one in relative.items() if one > LIMIT]
    return "\n".join(
        [
            "The limit is 1e-5, relative to the greatest output where that is larger than 1.",
            f"Above it: {', '.join(missed) or 'none'}. Above 1e-5 in absolute terms, with outputs",
            f"larger than 1: {', '.join(above) or 'none'}.",
        ]
    )


def versions() -> dict[str, str]:
    """Returns the version of everything that may change a result."""
    import tf_keras

    return {
        **results_files.versions(),
        "tf_keras": tf_keras.__version__,
        "tensorflow_model_optimization": tf_mot().__version__,
    }


if __name__ == "__main__":
    known_networks.main("The bridge to tf_keras, on known networks.", run, HEADING, page, versions)
