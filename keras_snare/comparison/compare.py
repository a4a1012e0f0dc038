"""`compare`: two models side by side."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import check_count
from keras_snare.comparison.runs import Run, as_saved_model, in_keras, in_litert
from keras_snare.comparison.sizes import keras_bytes, packed_bytes
from keras_snare.comparison.timing import in_turn, tensorflow_threads
from keras_snare.criteria import check_data
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import cost
from keras_snare.graph.trace import functional_form
from keras_snare.quantize.litert_checks import served_model
from keras_snare.quantize.representative import random_batch, representative_batches
from keras_snare.quantize.serving import set_up
from keras_snare.report import CompareReport, ModelFigures


def compare(
    before: keras.Model,
    after: keras.Model,
    data: Any = None,
    *,
    batch_size: int = 1,
    repeats: int = 50,
    threads: int = 1,
) -> CompareReport:
    """Measures what a smaller model gains and loses against another one.

    Both are written as files, evaluated, and run in Keras, as a SavedModel and by LiteRT. The two
    take turns at each run, so that what else the machine does meets both alike. Neither is changed.

    Args:
        before: a built Keras model; keep a copy, or load it, if you cut one in place.
        after: another one, with the same inputs.
        data: `(x, y)`, a tf.data.Dataset or a keras.utils.PyDataset that the metrics are evaluated
            on; the models are compiled then. None leaves metrics out and times random inputs.
        batch_size: int, how many examples a timed run computes. A model whose inputs say how many
            they are computes these.
        repeats: int, how many runs of each model are timed, after three that are not.
        threads: int, how many threads LiteRT may use. Those of TensorFlow, which Keras and the
            SavedModel run on, are set before its first operation, by
            `tf.config.threading.set_intra_op_parallelism_threads`; the report tells them.

    Returns:
        A `CompareReport`; what could not be measured is in its `notes`, with the reason.

    Raises:
        TypeError, ValueError: for what is no Keras model, models with unlike inputs, data that do
            not suit, or numbers out of range.
        UnsupportedModelError: when a model is not built, or has no graph.

    Example:

    >>> report = keras_snare.compare(keras.models.load_model("large.keras"), model, (x, y))
    >>> print(report)
    """
    pair = {"before": before, "after": after}
    data = tuple(data) if isinstance(data, list) else data
    _check(pair, data, {"batch_size": batch_size, "repeats": repeats, "threads": threads})
    forms = [functional_form(one) for one in pair.values()]
    _check_inputs(forms)
    flat = _batch(before, forms[0], data, batch_size)
    figures = [_Measured(*one, flat) for one in zip(pair, pair.values(), forms, strict=True)]
    for one in figures:
        one.evaluate(data)
        one.prepare(threads)
    for name in dict.fromkeys(name for one in figures for name in one.runs):
        those = [one for one in figures if name in one.runs]
        found = in_turn([one.runs[name] for one in those], repeats)
        for one, latency in zip(those, found, strict=True):
            one.latency[name] = latency
    return CompareReport(
        *(one.result() for one in figures),
        batch_size=len(flat[0]),
        repeats=repeats,
        litert_threads=threads,
        tensorflow_threads=tensorflow_threads(),
        notes=tuple(note for one in figures for note in one.notes),
    )


class _Measured:
    """One of the models, and what was measured of it so far."""

    def __init__(self, name: str, model: keras.Model, form: Any, flat: list[np.ndarray]) -> None:
        self.name, self.model, self.form, self.flat = name, model, form, flat
        self.cost = cost(model)
        self.bytes: dict[str, int] = {}
        self.metrics: dict[str, float] = {}
        self.runs: dict[str, Run] = {}
        self.latency: dict[str, Any] = {}
        self.notes: list[str] = []

    def evaluate(self, data: Any) -> None:
        if data is None:
            return
        given = data if isinstance(data, tuple) else (data,)
        parts = dict(zip(("x", "y", "sample_weight"), given, strict=False))
        found = self.model.evaluate(**parts, verbose=0, return_dict=True)
        self.metrics = {name: float(value) for name, value in found.items()}

    def prepare(self, threads: int) -> None:
        self.runs["keras"] = in_keras(self.model, self.form, self.flat)
        self._try("A .keras file", self._saved)
        self._try("A SavedModel", self._exported)
        self._try("A .tflite file", lambda: self._converted(threads))
        self._try("A .snare file", self._packed)

    def _try(self, what: str, make: Callable[[], None]) -> None:
        try:
            make()
        except (UnsupportedModelError, ImportError) as error:
            self.notes.append(f"{what} of `{self.name}` was not made: {error}")

    def _saved(self) -> None:
        self.bytes[".keras"] = keras_bytes(self.model)

    def _exported(self) -> None:
        with set_up(self.model, unroll=False):
            served = served_model(self.model, None, len(self.flat[0]))
            self.runs["saved_model"] = as_saved_model(served, self.flat)

    def _converted(self, threads: int) -> None:
        with set_up(self.model, unroll=False):
            served = served_model(self.model, None, len(self.flat[0]))
            self.runs["litert"], self.bytes[".tflite"] = in_litert(served, self.flat, threads)

    def _packed(self) -> None:
        self.bytes[".snare"] = packed_bytes(self.model)

    def result(self) -> ModelFigures:
        costs = {"params": self.cost.params, "flops": self.cost.flops}
        return ModelFigures(**costs, bytes=self.bytes, metrics=self.metrics, latency=self.latency)


def _check(pair: dict[str, Any], data: Any, counts: dict[str, Any]) -> None:
    for name, model in pair.items():
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"`{name}` is a Keras 3 model. Received: {type(model).__name__}. Load a file with "
                "keras.models.load_model."
            )
    for name, count in counts.items():
        check_count(name, count)
    if data is None:
        return
    check_data(data, "data", False)
    _check_end(data)
    if isinstance(data, tuple) and (len(data) < 2 or data[1] is None):
        raise ValueError(
            "`data` holds labels, which metrics need: data=(x, y). Received: one part. Leave it "
            "out to measure sizes and times alone."
        )
    for name, model in pair.items():
        if not model.compiled:
            raise ValueError(
                f"`{name}` is compiled with the metrics that are evaluated on `data`. Received: "
                f"model {model.name!r}, which is not. Compile both, or leave `data` out."
            )


def _check_end(data: Any) -> None:
    import tensorflow as tf

    endless = (
        isinstance(data, tf.data.Dataset) and data.cardinality() == tf.data.INFINITE_CARDINALITY
    )
    if endless or (isinstance(data, keras.utils.PyDataset) and data.num_batches is None):
        raise ValueError(
            f"`data` has an end. Received: a {type(data).__name__} without one, such as repeat() "
            "makes. Give one with an end, such as data.take(n)."
        )


def _check_inputs(forms: list[Any]) -> None:
    before, after = ([(one.shape, one.dtype) for one in form.inputs] for form in forms)
    if before != after:
        raise ValueError(
            f"Expected two models with the same inputs. Received: {before} before, {after} after."
        )


def _batch(model: keras.Model, form: Any, data: Any, batch_size: int) -> list[np.ndarray]:
    """One batch of inputs; examples are repeated where there are fewer."""
    known = random_batch(model) if data is None else representative_batches(form, data)[0]
    size = form.inputs[0].shape[0] or batch_size
    return [one[np.arange(size) % len(one)] for one in known]
