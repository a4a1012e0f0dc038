"""A file is run before it is written: does it compute what Keras computes, and how fast?"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.converting import INTEGER
from keras_snare.quantize.interpreter import unallocated
from keras_snare.quantize.representative import examples
from keras_snare.quantize.serving import Served

# Shares of the greatest output. Floats are added up in another order; half precision has 11 bits,
# 1 / 2048, in each of many layers; integers have 8, 1 / 256. The greatest found for the networks in
# docs/coverage.md were 3e-6, 0.003, and between 0.1 and 0.2 in integers. A file that lost its
# weights, or mixed up its inputs, is off by about 1.
TOLERANCES = {None: 2e-5, "float16": 2e-2, "dynamic": 0.25, "int8": 0.5, "int16x8": 0.25}
THREADS = 1
_EXAMPLES = 16
# Softmax and sigmoid have steps of 1 / 256 and tanh of 1 / 128, however small the values are.
_COARSEST = 1 / 128
_WARM_UP = 3
_RUNS = 30
_SECONDS = 0.5


@dataclass(frozen=True)
class Trial:
    """What running a file has shown.

    Args:
        difference: float, the greatest one from Keras, as a share of the greatest output.
        latency_ms: float, median time of one run.
        examples: int, how many examples were compared.
    """

    difference: float
    latency_ms: float
    examples: int


def tried(
    served: Served, content: bytes, quantize: str | None, batches: list, tolerance: float | None
) -> Trial:
    """Runs a file beside Keras.

    Args:
        served: the model, set up as it was for the file.
        content: the file.
        quantize: as `to_litert` takes it.
        batches: data to run both on.
        tolerance: how large a share of the greatest output the difference may be. None takes that
            of `TOLERANCES`. Two steps of an output in integers are allowed in any case.

    Raises:
        UnsupportedModelError: when the file does not run, or is off.
    """
    cure = (
        "Give more representative_data, like that which the model was trained on, another "
        "`quantize`, or, if the difference is acceptable, a larger `tolerance`."
    )
    allowed = TOLERANCES[quantize] if tolerance is None else tolerance
    stepped = quantize in INTEGER
    interpreter, difference, count = compared(served, content, batches, allowed, cure, stepped)
    return Trial(difference, _latency(interpreter), count)


def compared(
    served: Any, content: bytes, batches: list, tolerance: float, cure: str, stepped: bool
) -> tuple[Any, float, int]:
    """Runs a file beside the model that it was made of.

    Args:
        served: a `Served`, or what has its `model`, `inputs`, `outputs`, `batch_size` and `traced`.
        content: the file.
        batches: data to run both on.
        tolerance: how large a share of the greatest output the difference may be.
        cure: str, what the user can do about a greater one, for the message.
        stepped: whether two steps of an output in integers are allowed in any case.

    Returns:
        The interpreter, the greatest difference, and on how many examples.

    Raises:
        UnsupportedModelError: when the file does not run, or is off.
    """
    every = _alike(islice(examples(batches, served.batch_size), _EXAMPLES))
    expected = [served.traced(*flat) for flat in every]
    try:
        interpreter = unallocated(content, THREADS)
        found = _computed(interpreter, served, every)
    except (RuntimeError, ValueError) as error:
        raise UnsupportedModelError(
            f"Expected a file that LiteRT's interpreter runs. Received: {served.model.name!r}, at "
            f"which it stops with: {error} Give the model inputs of shapes that are known in full."
        ) from error
    difference = _worst(served, expected, found, tolerance, cure, stepped=stepped)
    return interpreter, difference, len(every) * served.batch_size


def _alike(every: Iterable[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """Examples of the same shapes as the first: not every file changes these twice."""
    known = list(every)
    shapes = [one.shape for one in known[0]]
    return [flat for flat in known if [one.shape for one in flat] == shapes]


def _computed(interpreter: Any, served: Any, every: list) -> list[dict[str, np.ndarray]]:
    """The outputs of a file, by name, as the model returns them."""
    run = interpreter.get_signature_runner("serving_default")
    takes, returns = run.get_input_details(), run.get_output_details()
    found = []
    for flat in every:
        given = dict(zip(served.inputs, flat, strict=True))
        results = run(**{name: _stored(given[name], takes[name]) for name in takes})
        found.append({name: _real(results[name], returns[name]) for name in results})
    return found


def _stored(value: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """An input as the file takes it."""
    scale, zero = detail["quantization"]
    if not scale:
        return value.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(value / scale + zero), limits.min, limits.max).astype(detail["dtype"])


def _real(value: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """An output as the model returns it."""
    scale, zero = detail["quantization"]
    return (value.astype("float64") - zero) * scale if scale else value


def _worst(
    served: Any, expected: list, found: list, tolerance: float, cure: str, *, stepped: bool
) -> float:
    """The greatest difference of any output, as a share of the greatest value of that output."""
    worst = 0.0
    for name in served.outputs:
        here = np.stack([keras.ops.convert_to_numpy(one[name]) for one in expected])
        if not np.isfinite(here).all():
            raise UnsupportedModelError(
                f"Expected a model with outputs that are finite numbers. Received: "
                f"{served.model.name!r}, of which {name!r} holds NaN or infinity where Keras "
                "computes it. No file was written. Look for weights that are not finite, as after "
                "a training that has diverged, and for inputs that the model was not made for."
            )
        there = np.stack([one[name] for one in found])
        difference, greatest = _difference(here, there)
        share = difference / greatest
        if not (share <= tolerance or (stepped and difference <= 2 * _step(there))):
            raise UnsupportedModelError(
                f"Expected a file whose output {name!r} differs from Keras by {tolerance:g} of its "
                f"greatest value at most. Received: {share:.3g}. No file was written. {cure}"
            )
        worst = max(worst, share)
    return worst


def _difference(here: np.ndarray, there: np.ndarray) -> tuple[float, float]:
    """The greatest difference and the greatest value; of integers, the share that is not equal."""
    if not np.issubdtype(here.dtype, np.floating):
        return float(np.mean(here != there)), 1.0
    here = here.astype("float64")
    greatest = float(np.abs(here).max(initial=0))
    return float(np.abs(here - there).max(initial=0)), greatest or 1.0


def _step(values: np.ndarray) -> float:
    """How fine an output is that was computed in integers."""
    gaps = np.diff(np.unique(values.astype("float64")))
    return min(float(gaps.min(initial=_COARSEST)), _COARSEST) if len(gaps) else 0.0


def _latency(interpreter: Any) -> float:
    """Median milliseconds of a run on what the last one left in the inputs."""
    times: list[float] = []
    for _ in range(_WARM_UP):
        interpreter.invoke()
    while len(times) < _RUNS and (sum(times) < _SECONDS or not times):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))
