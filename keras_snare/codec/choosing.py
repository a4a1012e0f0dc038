"""Which form a variable is stored in: the one that takes the fewest bytes at its step."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_snare.codec.coding import TRANSFORMS, Coding, from_integers, to_integers
from keras_snare.codec.forms import Form, exact_form
from keras_snare.codec.transforms import MAX_LENGTH, Grid, fits
from keras_snare.codec.writing import Variable

# Above this share of zeros a kernel is taken to be pruned, and its zeros are kept.
PRUNED = 0.5
# A step at quality 50 in root mean squares of a kernel; it doubles with each so much less.
_MIDDLE, _DOUBLING = 50.0, 12.0
# Biases and statistics are few, and errors in them go to whole channels.
_FINER = 64.0
# Few values, as clustering leaves them, are kept where they take so much more than rounding them:
# 16 values take 4 bits each, and rounding to a step at the lower qualities one.
_KEPT, _KEPT_BYTES = 5.0, 16.0
# Numbers for each of the few values; pruning leaves few numbers of many values, by chance.
_SHARED = 4


def step_of(value: np.ndarray, quality: float, unit: float | None) -> float:
    """Returns the step of a variable at a quality.

    Args:
        value: the variable.
        quality: float.
        unit: what an error is measured by where that is not its size, see `units_of`.
    """
    size = float(np.sqrt(np.mean(np.square(value.astype(np.float64)))))
    size = max(size if unit is None else unit, 1e-30)
    step = size * quality_step(quality)
    return step if value.ndim > 1 and unit is None else min(step, size) / _FINER


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
    """Returns the smallest of some forms, or the one that keeps every bit.

    That is taken where none is finite, and where the few values of it are to be kept.
    """
    found = [form for form in (_attempt(value, one) for one in codings) if form is not None]
    exact = exact_form(value, codings[0].grid)
    if not found:
        return exact
    return kept(exact, smallest(found, value), value)


def _attempt(value: np.ndarray, coding: Coding) -> Form | None:
    """The form of a variable in a coding; None where that is not exact, or not finite."""
    try:
        found = Form(coding, content=to_integers(value, coding))
    except ValueError:
        return None
    return found if is_finite(found, value) else None


def kept(exact: Form, rounded: Form, value: np.ndarray) -> Form:
    """Returns the form that keeps every bit if it has few values and costs no more than these may.

    Few values that are shared by many numbers were chosen so; to lose them saves little.
    """
    if exact.values is None:
        return rounded
    sizes = [one.coded_bytes(value.shape, value.dtype) for one in (exact, rounded)]
    shared = np.count_nonzero(value) >= _SHARED * (len(exact.values) - 1)
    allowed = _KEPT * sizes[1] + _KEPT_BYTES if shared else sizes[1]
    return exact if sizes[0] <= allowed else rounded


def given_form(variable: Variable, coding: Coding) -> Form:
    """Returns the form of a variable whose coding is set.

    Raises:
        ValueError: when the coding does not suit the variable.
    """
    value = variable.value
    try:
        found = Form(coding, content=to_integers(value, coding))
    except ValueError as error:
        raise ValueError(f"`codings` of {variable.path!r}: {error}") from error
    if not is_finite(found, value):
        raise ValueError(
            f"`codings` are such that rounded numbers are finite. Received: step={coding.step!r} "
            f"for {variable.path!r}, a multiple of which is too large for {value.dtype}. Take a "
            "smaller step."
        )
    exact = exact_form(value, coding.grid)
    again = from_integers(found.content, coding, value.shape, value.dtype)
    same = exact.values is not None and np.array_equal(again, value)
    return smallest([exact, found], value) if same else found


def is_finite(form: Form, value: np.ndarray) -> bool:
    """Tells whether integers are read back, and none as a number too large for the variable."""
    coding = form.coding
    assert coding is not None
    if coding.transform == "dct" and coding.grid and not fits(form.content, coding.grid):
        return False
    with np.errstate(over="ignore"):
        again = from_integers(form.content, coding, value.shape, value.dtype)
    return bool(np.isfinite(again.astype(np.float64)).all())


def smallest(forms: list[Form], value: np.ndarray) -> Form:
    """Returns the form of a variable that takes the fewest bytes; of equals the first."""
    if len(forms) == 1:
        return forms[0]
    return min(forms, key=lambda one: one.coded_bytes(value.shape, value.dtype))


def form_of(value: np.ndarray, grid: Grid | None, quality: float, unit: float | None) -> Form:
    """Returns the form of a variable.

    Args:
        value: the variable.
        grid: what it lies on.
        quality: float.
        unit: see `step_of`.
    """
    if not rounds(value):
        return exact_form(value, grid)
    step = step_of(value, quality, unit)
    return rounded_form(value, [Coding(one, grid, step) for one in transforms_of(value, grid)])


class PlainForms:
    """The forms of a model's variables at any quality, by their size alone.

    Args:
        variables: all that the file holds.
        grids: by key.
        given: codings by key that are set.
        units: by key, see `units_of`.
    """

    def __init__(
        self,
        variables: list[Variable],
        grids: Mapping[int, Grid],
        given: Mapping[int, Coding],
        units: Mapping[int, float],
    ) -> None:
        self._variables, self._grids, self._given = variables, grids, given
        self._units = units

    def at(self, quality: float | None) -> list[Form]:
        """Returns the forms at a quality, or those that keep every bit, in the variables' order."""
        return [self._form(one, quality) for one in self._variables]

    def _form(self, variable: Variable, quality: float | None) -> Form:
        key, value = variable.key, variable.value
        if key in self._given:
            return given_form(variable, self._given[key])
        if quality is None:
            return exact_form(value, self._grids.get(key))
        return form_of(value, self._grids.get(key), quality, self._units.get(key))
