"""Keras's own quantization of a model, in a file that was loaded and run before it is there."""

import json
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.trace import parts_of
from keras_snare.quantize.options import check_path
from keras_snare.quantize.representative import random_batch, representative_batches
from keras_snare.surgery import save_model

MODES = ("int8", "int4", "float8", "gptq", "awq")
# Modes that look at examples, of which a configuration tells.
_CONFIGURED = ("gptq", "awq")
# What a loaded model may be off, as a share of the greatest output.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class KerasQuantization:
    """A `.keras` file that was written, and what it was measured at.

    Args:
        path: str, where it is.
        mode: str, as `model.quantize` takes it.
        bytes: int, its size.
        before: int, the size of the same model before.
        layers: names of the layers that Keras quantized.
        left: names of the layers with kernels that it left in float.
        difference: float, the greatest one from the model before, as a share of the greatest
            output.
        representative: bool, whether examples of the user's showed it; otherwise they were random.
    """

    path: str
    mode: str
    bytes: int
    before: int
    layers: tuple[str, ...]
    left: tuple[str, ...]
    difference: float
    representative: bool

    def to_json(self) -> str:
        """Returns every figure as a JSON object."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        data = "representative" if self.representative else "random"
        return "\n".join(
            [
                f"{self.path}: {self.bytes:,} bytes, {self.before:,} before, mode {self.mode!r}",
                f"quantized {', '.join(self.layers)}; left in float {', '.join(self.left) or '-'}",
                f"difference {self.difference:.1e} of the greatest output, on {data} examples",
            ]
        )


def keras_quantized(
    model: keras.Model,
    path: str | os.PathLike[str],
    mode: str,
    *,
    config: Callable[[keras.Model], Any] | None = None,
    data: Any = None,
) -> KerasQuantization:
    """Quantizes a model with Keras's `model.quantize`, and writes it to a `.keras` file.

    Args:
        model: a built model, which is changed.
        path: where the file is written.
        mode: one of `MODES`.
        config: makes the configuration that `model.quantize` takes, of the model. `"gptq"` and
            `"awq"` need one.
        data: as `to_litert` takes it, to tell the difference on; None takes random numbers.

    Raises:
        ValueError: for arguments out of range.
        UnsupportedModelError: when there is nothing that Keras quantizes in this mode, or it does
            not load what it has saved; no file is written then.
        OSError: when the file cannot be written.
    """
    _check(path, mode, config)
    batch = random_batch(model) if data is None else representative_batches(model, data)[0]
    expected = _outputs(model, batch)
    with tempfile.TemporaryDirectory(dir=Path(path).absolute().parent) as folder:
        plain, whole = Path(folder) / "plain.keras", Path(folder) / "whole.keras"
        save_model(model, plain, check=False)
        _quantize(model, mode, config)
        found = _outputs(model, batch)
        save_model(model, whole, check=False)
        _check_loads(whole, batch, found, mode)
        sizes = (whole.stat().st_size, plain.stat().st_size)
        os.replace(whole, path)
    return KerasQuantization(
        os.fspath(path), mode, *sizes, *_layers(model), _off(found, expected), data is not None
    )


def _check(path: Any, mode: str, config: Any) -> None:
    if mode not in MODES:
        raise ValueError(f"Keras's mode is one of {', '.join(MODES)}. Received: {mode!r}.")
    if mode in _CONFIGURED and config is None:
        raise ValueError(
            f"Mode {mode!r} looks at examples. Give a function that makes the "
            f"keras.quantizers.{mode.upper()}Config of the model, with its data and its blocks."
        )
    check_path(path)
    if Path(path).suffix != ".keras":
        raise ValueError(f"Expected a path that ends in .keras. Received: {os.fspath(path)!r}.")


def _quantize(model: keras.Model, mode: str, config: Any) -> None:
    made = None if config is None else config(model)
    with warnings.catch_warnings():
        # Keras says of every layer that it leaves as it is, such as pooling, that it does.
        warnings.filterwarnings("ignore", "Layer \\w+ does not have a `quantize` method")
        warnings.filterwarnings("ignore", "Invalid quantization mode")
        model.quantize(mode, config=made)
    if not _layers(model)[0]:
        raise UnsupportedModelError(
            f"Keras quantizes no layer of {model.name!r} in mode {mode!r}: it knows Dense, "
            "EinsumDense and Embedding. Write a .tflite file instead, which covers others too."
        )


def _layers(model: keras.Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rounded, left = [], []
    for one in parts_of(model):
        if getattr(one, "quantization_mode", None):
            rounded.append(one.name)
        elif not list(parts_of(one)) and any(len(weight.shape) > 1 for weight in one.weights):
            left.append(one.name)
    return tuple(rounded), tuple(left)


def _check_loads(path: Path, batch: list, expected: list[np.ndarray], mode: str) -> None:
    try:
        # It was written a moment ago, of a model that is here: code in it may run.
        found = _outputs(keras.models.load_model(path, compile=False, safe_mode=False), batch)
    except Exception as error:  # Keras fails in many ways where it does not know its own file.
        raise UnsupportedModelError(
            f"Keras {keras.__version__} does not load what it saved of {mode!r}: {error} Nothing "
            "was written. Use another mode, or another release of Keras."
        ) from error
    if not _off(found, expected) <= _TOLERANCE:
        raise UnsupportedModelError(
            f"Keras {keras.__version__} loads another model than it saved of {mode!r}: its outputs "
            f"are off by {_off(found, expected):.1e} of the greatest. Nothing was written."
        )


def _outputs(model: keras.Model, batch: list) -> list[np.ndarray]:
    inputs = batch if len(batch) > 1 else batch[0]
    return [np.asarray(one) for one in keras.tree.flatten(model.predict_on_batch(inputs))]


def _off(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    shares = [
        float(np.abs(one - ref).max() / max(float(np.abs(ref).max()), 1e-12))
        for one, ref in zip(found, expected, strict=True)
    ]
    return float(np.max(shares))  # NaN, if one is.
