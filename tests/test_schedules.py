"""Schedules: hand-computed values, and what holds for every registered one."""

import itertools

import pytest

from keras_snare.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    Linear,
    OneShot,
    Polynomial,
    get_schedule,
)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Linear(), [0, 0.2, 0.4, 0.6, 0.8]),
        (Linear(initial=0.4), [0.4, 0.5, 0.6, 0.7, 0.8]),
        (Polynomial(), [0, 0.8 * 37 / 64, 0.7, 0.8 * 63 / 64, 0.8]),
        (Polynomial(power=1), [0, 0.2, 0.4, 0.6, 0.8]),
        (Polynomial(initial=0.4, power=2), [0.4, 0.8 - 0.4 * 9 / 16, 0.7, 0.775, 0.8]),
        (Cosine(), [0, 0.117157, 0.4, 0.682843, 0.8]),
        (Exponential(), [0, 1 - 0.2**0.25, 1 - 0.2**0.5, 1 - 0.2**0.75, 0.8]),
        (Constant(), [0.8] * 5),
        (OneShot(), [0.8] * 5),
    ],
    ids=repr,
)
def test_values(schedule, values):
    found = [schedule.sparsity(progress, 0.8) for progress in (0, 0.25, 0.5, 0.75, 1)]
    assert found == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_every_schedule_grows_to_the_final_sparsity_and_stays_there(name):
    schedule = get_schedule(name)
    found = [schedule.sparsity(at / 50, 0.9) for at in range(51)]
    assert all(later >= earlier for earlier, later in itertools.pairwise(found))
    assert found[-1] == pytest.approx(0.9)
    assert schedule.sparsity(-1, 0.9) == found[0]
    assert schedule.sparsity(2, 0.9) == found[-1]
    assert schedule.once == (name == "one_shot")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: get_schedule("cubic"), ValueError, "Unknown schedule. Received: 'cubic'. Known"),
        (lambda: get_schedule(3), TypeError, "`schedule` is a name .*linear.* Received: 3"),
        (lambda: Linear(initial=1), ValueError, "`initial` .* below 1. Received: initial=1"),
        (lambda: Polynomial(power=0.5), ValueError, "`power` .* 1 or more. Received: power=0.5"),
        (lambda: Linear(0.9).sparsity(0, 0.5), ValueError, "initial=0.9 above sparsity=0.5"),
    ],
    ids=["unknown", "number", "initial", "power", "above"],
)
def test_wrong_use(make, error, message):
    with pytest.raises(error, match=message):
        make()
