"""Forms by what errors cost: every bit that is saved anywhere costs the same loss."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_snare.codec.choosing import (
    PRUNED,
    given_form,
    is_finite,
    kept,
    quality_step,
    rounded_form,
    rounds,
    transforms_of,
)
from keras_snare.codec.coding import Coding
from keras_snare.codec.entropy import coded_bytes
from keras_snare.codec.forms import Form, exact_form
from keras_snare.codec.rounding import KernelRounding
from keras_snare.codec.sensitivity import Evidence, Moments
from keras_snare.codec.transforms import Grid
from keras_snare.codec.writing import Variable
from keras_snare.layers.cosines import spectrum

# The squared step, in what a bit costs by the curvature: measured, where rounding makes errors
# good, and where it does not.
_WITH_FEEDBACK, _PLAIN = 200.0, 12.0
# Below this part of what the others cost, a kernel costs nothing.
_NOTHING = 1e-9
# Curvatures hold for errors that are small beside what a layer divides by.
_OF_UNIT = 8.0


class SensitiveForms:
    """The forms of a model's variables at any quality, by what was measured on data.

    Args:
        variables: all that the file holds.
        grids: by key.
        given: codings by key that are set.
        units: by key, see `units_of`.
        found: what was measured.

    Attributes:
        scale: float, what a bit costs where steps are as large as weights are.
    """

    def __init__(
        self,
        variables: list[Variable],
        grids: Mapping[int, Grid],
        given: Mapping[int, Coding],
        units: Mapping[int, float],
        found: Evidence,
    ) -> None:
        self._variables, self._grids, self._given, self._found = variables, grids, given, found
        self._units = units
        self._values = {one.key: one.value for one in variables}
        self._kernels: dict[int, dict[str, KernelRounding]] = {}
        for key, moments in found.moments.items():
            if key in self._values and rounds(self._values[key]) and key not in given:
                self._kernels[key] = self._ways(key, moments)
        self.scale = self._mean_scale()

    def at(self, quality: float) -> list[Form]:
        """Returns the forms at a quality, in the order of the variables."""
        rate = quality_step(quality) ** 2 * self.scale
        values, found = dict(self._values), {}
        for key, ways in self._kernels.items():
            found[key] = self._rounded_kernel(key, ways, rate, values)
        return [
            found[one.key] if one.key in found else self._form(one, values[one.key], rate)
            for one in self._variables
        ]

    def _ways(self, key: int, moments: Moments) -> dict[str, KernelRounding]:
        """The roundings of a kernel, by the name of the transform."""
        value = self._values[key].astype(np.float64)
        kernel = value.reshape(-1, value.shape[-1])
        bias = None if moments.bias is None else self._values[moments.bias].astype(np.float64)
        features, matrix = len(kernel), moments.matrix
        curvature = self._found.curvature[key].reshape(kernel.shape)
        seen = np.trace(matrix[:features, :features])
        weights = curvature.sum(axis=0) / max(seen, np.finfo(float).tiny)
        kept = kernel != 0 if np.mean(kernel == 0) >= PRUNED else None
        found = {"none": KernelRounding(kernel, bias, matrix, weights, kept)}
        grid = self._grids.get(key)
        if grid is not None and "dct" in transforms_of(value, grid):
            there = np.concatenate([spectrum(matrix[:features], grid), matrix[features:]]).T
            there = np.concatenate([spectrum(there[:features], grid), there[features:]])
            found["dct"] = KernelRounding(spectrum(kernel, grid), bias, there, weights, None)
        return found

    def _mean_scale(self) -> float:
        """What a bit costs at the quality at which steps are as large as weights are, on average.

        Kernels that are zero, or of which nothing reaches the loss, say nothing about it.
        """
        found = []
        for key, ways in self._kernels.items():
            found.append((key, ways["none"].curvature / _WITH_FEEDBACK))
        for key, curvature in self._found.curvature.items():
            if key in self._kernels or self._values[key].ndim < 2 or not rounds(self._values[key]):
                continue
            found.append((key, float(np.mean(curvature)) / _PLAIN))
        costs = [(self._values[key].size, self._square(key) * one) for key, one in found]
        most = max((one for _, one in costs), default=0.0)
        costs = [(size, one) for size, one in costs if one > _NOTHING * most]
        total = sum(size * np.log2(one) for size, one in costs)
        return 2.0 ** (total / sum(size for size, _ in costs)) if costs else 1.0

    def _square(self, key: int) -> float:
        return float(np.mean(self._values[key].astype(np.float64) ** 2))

    def _rounded_kernel(
        self, key: int, ways: dict[str, KernelRounding], rate: float, values: dict[int, Any]
    ) -> Form:
        """The form of a kernel; its bias, as it makes errors good, is put among the values."""
        value = self._values[key]
        best, least, bias = None, np.inf, None
        for transform, one in ways.items():
            step = _step(value, rate, one.curvature, _WITH_FEEDBACK)
            coding = Coding(transform, self._grids.get(key), step)
            integers, changed, cost = one.at(coding.step, rate)
            integers = integers.reshape(value.shape)
            if not is_finite(Form(coding, content=integers), value):
                continue
            cost += 8 * rate * coded_bytes(integers, coding.grid)
            if cost < least:
                best, least, bias = Form(coding, content=integers), cost, changed
        exact = exact_form(value, self._grids.get(key))
        if best is None or kept(exact, best, value) is exact:
            return exact
        if exact.values is not None and 8 * rate * exact.coded_bytes(value.shape, value.dtype) < (
            least
        ):
            return exact
        if bias is not None:
            name = self._found.moments[key].bias
            assert name is not None
            if name not in self._given:
                values[name] = bias.astype(self._values[name].dtype)
        return best

    def _form(self, variable: Variable, value: np.ndarray, rate: float) -> Form:
        """The form of a variable that is rounded by itself, to what its bias has become."""
        key, grid = variable.key, self._grids.get(variable.key)
        if key in self._given:
            return given_form(variable, self._given[key])
        if not rounds(value) or key not in self._found.curvature:
            return exact_form(value, grid)
        step = _step(value, rate, float(np.mean(self._found.curvature[key])), _PLAIN)
        if key in self._units:
            step = min(step, self._units[key] / _OF_UNIT)
        return rounded_form(value, [Coding("none", grid, step)])


def _step(value: np.ndarray, rate: float, curvature: float, factor: float) -> float:
    largest = float(np.max(np.abs(value.astype(np.float64))))
    most = max(4 * largest, 1e-30)
    if curvature <= 0:
        return most
    return min(max(float(np.sqrt(factor * rate / curvature)), most / 2**24), most)
