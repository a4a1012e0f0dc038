"""The fewest bytes at which a metric is still good enough."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras

from keras_snare.arguments import is_number
from keras_snare.codec.writing import Packed
from keras_snare.criteria.batches import no_example
from keras_snare.errors import UnsupportedModelError
from keras_snare.search.metric import MODES, objective

LOWEST, HIGHEST = 1.0, 100.0
# Where the search begins, and how near it comes: steps double with every 12.
_FIRST, _NEAR = 40.0, 0.75


class Measure:
    """Evaluates what a file gives back, on data.

    Args:
        model: the model that is packed, compiled.
        twin: another one, built from its configuration; what `unpack` builds.
        write: takes values to the twin.
        data: `(x, y)` arrays, or what else `evaluate` takes.
        monitor: str or None, the metric; None for the first, or the loss.
        mode: "auto", "max" or "min", which way is better.
        batch_size: int, for arrays.
    """

    def __init__(
        self,
        model: keras.Model,
        twin,
        write: Callable,
        data: Any,
        monitor: Any,
        mode: str,
        batch_size: int,
    ) -> None:
        _compile_as(model, twin)
        self._twin, self._write, self._data, self._batch_size = twin, write, data, batch_size
        first = self._figures()
        self.monitor = _monitor(monitor, first)
        self.objective = objective(self.monitor, mode, 0.0)
        self.reference = float(first[self.monitor])
        if not math.isfinite(self.reference):
            raise ValueError(
                f"Expected data on which {self.monitor} of {model.name!r} is finite. Received: "
                f"{self.reference}. Look for weights and examples that are not finite."
            )

    def value(self, values: list[Any]) -> float:
        """Returns the metric with other values of the variables."""
        self._write(values)
        return float(self._figures()[self.monitor])

    def loss(self, value: float) -> float:
        """Returns by how much a value is worse than that of the model."""
        return self.objective.loss(value, self.reference)

    def noted(self, packed: Packed, value: float) -> Packed:
        """Returns a file with the metric in its report."""
        report = replace(packed.report, monitor=self.monitor, reference=self.reference, value=value)
        return replace(packed, report=report)

    def _figures(self) -> dict[str, Any]:
        data, arrays = self._data, {}
        if isinstance(data, (tuple, list)):
            data, y, *weights = data
            if not len(keras.tree.flatten(data)[0]):
                raise no_example()
            arrays = {"y": y, "sample_weight": weights[0] if weights else None}
            arrays["batch_size"] = self._batch_size
        with labels_that_suit(self._twin):
            found = self._twin.evaluate(data, **arrays, verbose=0, return_dict=True)
        if "loss" not in found:
            raise no_example()
        return found


@contextmanager
def labels_that_suit(model: keras.Model) -> Iterator[None]:
    """Says of data that the loss does not take them, which TensorFlow tells while it computes.

    Raises:
        ValueError: when it does not take them.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            f"Expected examples and labels that {model.name!r} and its loss take. Received: "
            "others, as the error above tells. Look for labels out of range, and for weights that "
            "are not finite."
        ) from error


def smallest_within(
    make: Callable[[float | None], Packed], measure: Measure, max_loss: float
) -> Packed:
    """Returns the smallest file that loses no more of the metric than is allowed.

    Args:
        make: takes a quality, or None to keep every bit, and returns a file.
        measure: evaluates it.
        max_loss: float.

    Raises:
        ValueError: when codings that were given lose more.
    """
    best, low, high, quality = None, LOWEST, HIGHEST, _FIRST
    while True:
        found = make(quality)
        value = measure.value(found.values)
        if measure.loss(value) <= max_loss:
            if best is None or len(found.content) < len(best[0].content):
                best = found, value
            high = quality
        else:
            low = quality
        if high - low <= _NEAR:
            break
        quality = (low + high) / 2
    if best is None:
        exact = make(None)
        value = measure.value(exact.values)
        if measure.loss(value) > max_loss:
            raise ValueError(
                f"Expected a file that loses {max_loss} of {measure.monitor} at most. Received: "
                f"one that loses {measure.loss(value):.4g} with every bit kept but of what "
                "`codings` says. Give finer codings, or leave them out."
            )
        best = exact, value
    return measure.noted(*best)


def check_target(max_loss: Any, mode: Any) -> None:
    """Checks what is to be reached.

    Raises:
        ValueError: when it is out of range.
    """
    if max_loss is not None and not (is_number(max_loss) and 0 <= max_loss < float("inf")):
        raise ValueError(
            "`max_loss` is by how much the metric may be worse, a number of 0 or more, such as "
            f"0.001 for a tenth of a point of accuracy; or None. Received: max_loss={max_loss!r}"
        )
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"`mode` is one of {', '.join(MODES)}. Received: mode={mode!r}")


def _monitor(name: Any, figures: dict[str, Any]) -> str:
    if name is None:
        return next((one for one in figures if one != "loss"), "loss")
    found = str(name).removeprefix("val_")
    if found not in figures:
        raise ValueError(
            f"`monitor` is a metric that the model is compiled with. Received: {name!r}. Known: "
            f"{', '.join(figures)}."
        )
    return found


def _compile_as(model: keras.Model, twin) -> None:
    """Compiles a model as another one is, by what that states."""
    reason = ""
    try:
        twin.compile_from_config(model.get_compile_config())
    except Exception as error:  # Keras, or a class of the user's, may fail in any way.
        reason = f" ({' '.join(str(error).split())[:200]})"
    if reason or not twin.compiled:
        raise UnsupportedModelError(
            f"Expected a model whose loss and metrics can be stated. Received: {model.name!r}, "
            f"whose cannot{reason}. Register functions and classes of yours with "
            "keras.saving.register_keras_serializable(), or compile the model with those of Keras."
        )
