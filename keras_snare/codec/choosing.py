"""Which form a variable is stored in: the one that takes the fewest bytes at its step."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.codec.coding import TRANSFORMS, Coding, from_integers, to_integers
from keras_snare.codec.forms import Form, exact_form
from keras_snare.codec.transforms import MAX_LENGTH, Grid
from keras_snare.codec.writing import Variable

# Above this share of zeros a kernel is taken to be pruned, and its zeros are kept.
PRUNED = 0.5
# A step at quality 50 in root mean squares of a kernel; it doubles with each so much less.
_MIDDLE, _DOUBLING = 50.0, 12.0
# Biases and statistics are few, and errors in them go to whole channels.
_FINER = 64.0


def step_of(value: np.ndarray, quality: float) -> float:
    """Returns the step of a variable at a quality."""
    size = float(np.sqrt(np.mean(np.square(value.astype(np.float64)))))
    step = max(size, 1e-30) * quality_step(quality)
    return step if value.ndim > 1 else min(step, max(size, 1e-30)) / _FINER


def quality_step(quality: float) -> float:
    """Returns the step at a quality, in root mean squares of the weights."""
    return 2.0 ** ((_MIDDLE - quality) / _DOUBLING)


def rounds(value: np.ndarray) -> bool:
    """Tells whether a variable may be rounded: finite numbers that some step suits."""
    is_float = keras.backend.is_float_dtype(value.dtype.name)
    if not (is_float and value.size):
        return False
    # Beyond, steps are none that a file stores.
    return bool(np.max(np.abs(value.astype(np.float64))) < 2.0**100)


def transforms_of(value: np.ndarray, grid: Grid | None) -> tuple[str, ...]:
    """Returns the transforms that a variable may have before it is rounded."""
    pruned = np.mean(value == 0) >= PRUNED
    if grid is None or pruned or max(grid[:2]) > MAX_LENGTH:
        return ("none",)
    return TRANSFORMS


def rounded_form(value: np.ndarray, codings: list[Coding]) -> Form:
    """Returns the smallest of some forms, among them the one that keeps every bit."""
    found = [Form(one, content=to_integers(value, one)) for one in codings]
    exact = exact_form(value, codings[0].grid)
    found = [one for one in found if is_finite(one, value)] or [exact]
    if exact.values is not None and exact is not found[0]:
        # Few values cost no accuracy, so that they are preferred.
        found.insert(0, exact)
    return smallest(found, value)


def is_finite(form: Form, value: np.ndarray) -> bool:
    """Tells whether no multiple of the step is too large for the type of a variable."""
    assert form.coding is not None
    with np.errstate(over="ignore"):
        again = from_integers(form.content, form.coding, value.shape, value.dtype)
    return bool(np.isfinite(again.astype(np.float64)).all())


def smallest(forms: list[Form], value: np.ndarray) -> Form:
    """Returns the form of a variable that takes the fewest bytes; of equals the first."""
    if len(forms) == 1:
        return forms[0]
    return min(forms, key=lambda one: one.coded_bytes(value.shape, value.dtype))


def form_of(value: np.ndarray, grid: Grid | None, quality: float | None, given: Any) -> Form:
    """Returns the form of a variable.

    Args:
        value: the variable.
        grid: what it lies on.
        quality: float, or None to keep every bit.
        given: the `Coding` to use, or None.
    """
    if given is not None:
        return rounded_form(value, [given])
    if quality is None or not rounds(value):
        return exact_form(value, grid)
    step = step_of(value, quality)
    return rounded_form(value, [Coding(one, grid, step) for one in transforms_of(value, grid)])


class PlainForms:
    """The forms of a model's variables at any quality, by their size alone.

    Args:
        variables: all that the file holds.
        grids: by key.
        given: codings by key that are set.
    """

    def __init__(
        self,
        variables: list[Variable],
        grids: Mapping[int, Grid],
        given: Mapping[int, Coding],
    ) -> None:
        self._variables, self._grids, self._given = variables, grids, given

    def at(self, quality: float | None) -> list[Form]:
        """Returns the forms at a quality, or those that keep every bit, in the variables' order."""
        return [
            form_of(one.value, self._grids.get(one.key), quality, self._given.get(one.key))
            for one in self._variables
        ]
