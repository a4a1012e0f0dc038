"""Ridge regression from sums over rows, and how it is held back."""

import numpy as np
import pytest

from keras_snare.surgery.least_squares import NormalEquations


def rows(count, noise, seed=0, inputs=12, targets=3):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, inputs)) * np.geomspace(1, 0.1, inputs) + 2.0
    true = random.normal(size=(inputs, targets))
    return x, x @ true + 1.5 + noise * random.normal(size=(count, targets)), true


def fitted(x, y, held, constant=True):
    equations = NormalEquations(*held.shape, constant=constant)
    for part in range(0, len(x), 7):
        equations.add(x[part : part + 7], y[part : part + 7])
    weights = equations.weights(held)
    return weights, equations.means.constant(weights) * constant


def error(x, y, weights, constant):
    return np.square(x @ weights + constant - y).mean()


def test_many_rows_give_the_solution_of_numpy():
    x, y, _ = rows(2000, 0.1)
    solution = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y)[0]
    weights, constant = fitted(x, y, np.zeros((12, 3)))
    np.testing.assert_allclose(weights, solution[:-1], atol=5e-3)
    np.testing.assert_allclose(constant, solution[-1], atol=5e-2)


@pytest.mark.parametrize("constant", [True, False])
def test_targets_that_can_be_met_are_met(constant):
    x, y, true = rows(60, 0.0)
    y = y - 1.5 * (not constant)
    weights, added = fitted(x, y, np.zeros((12, 3)), constant)
    np.testing.assert_allclose(weights, true, atol=1e-4)
    np.testing.assert_allclose(added, 1.5 * constant, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 6, 13, 40])
def test_few_rows_are_not_learned_by_heart(count):
    """On its rows the fit is no worse than the weights as they were, on new ones hardly."""
    x, y, true = rows(2000 + count, 1.0)
    held = true + 0.2 * np.random.default_rng(2).normal(size=true.shape)
    weights, constant = fitted(x[:count], y[:count], held)
    shift = (y[:count] - x[:count] @ held).mean(axis=0)
    few, new = (
        [error(x[part], y[part], *one) for one in ((weights, constant), (held, shift))]
        for part in (slice(count), slice(count, None))
    )
    assert few[0] <= few[1] + 1e-12
    assert new[0] < 1.2 * new[1]


def test_inputs_that_do_not_vary_leave_the_weights():
    held = np.arange(6.0).reshape(3, 2)
    weights, constant = fitted(np.ones((5, 3)), np.full((5, 2), 4.0), held)
    np.testing.assert_array_equal(weights, held)
    np.testing.assert_allclose(constant, 4.0 - held.sum(axis=0))


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("count", [2, 8, 12])
def test_rows_and_sums_over_them_say_the_same(count, constant):
    x, y, _ = rows(count, 0.5)
    held = np.random.default_rng(2).normal(size=(12, 3))
    found = []
    for summed in (False, True):
        equations = NormalEquations(12, 3, constant)
        equations.add(x, y)
        if summed:
            equations.sum_up()
        found.append(equations.weights(held))
    np.testing.assert_allclose(*found, atol=1e-6)
    assert not np.array_equal(found[0], held)
