"""How ranks are chosen."""

import importlib

import keras
import numpy as np
import pytest

import keras_snare
from keras_snare.factorize.moments import moments
from keras_snare.factorize.vbmf import vbmf_rank
from keras_snare.graph import trace

layers = keras.layers
RANDOM = np.random.default_rng(0)


def low_rank(shape, rank, noise):
    rows, columns = shape
    signal = RANDOM.normal(size=(rows, rank)) @ RANDOM.normal(size=(rank, columns))
    return signal + noise * RANDOM.normal(size=shape)


@pytest.mark.parametrize("noise", [1e-6, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(60, 40), (30, 200), (50, 50)])
@pytest.mark.parametrize("rank", [0, 1, 5, 12])
def test_variational_bayes_finds_what_stands_out_of_noise(shape, rank, noise):
    values = np.linalg.svd(low_rank(shape, rank, noise), compute_uv=False)
    assert vbmf_rank(values, shape) == rank


def test_variational_bayes_of_exact_matrices():
    assert vbmf_rank(np.zeros(5), (5, 9)) == 0
    values = np.linalg.svd(low_rank((20, 30), 3, 0.0), compute_uv=False)
    assert vbmf_rank(values, (20, 30)) == 3


def network(**kernels):
    """Two dense layers and a convolution, with given kernels."""
    keras.utils.set_random_seed(0)
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", name="conv"),
        layers.Flatten(),
        layers.Dense(30, "relu", name="one"),
        layers.Dense(20, name="two"),
    ]
    model = keras.Sequential([keras.Input((4, 4, 6)), *parts])
    for name, kernel in kernels.items():
        model.get_layer(name).kernel.assign(kernel.reshape(model.get_layer(name).kernel.shape))
    return model


def rows(model, *args, **settings):
    found = keras_snare.factorize(model, *args, **settings)
    report = keras_snare.factorize_report(found)
    assert report.params_after == found.count_params()
    return {row.layer: row for row in report.rows}


def test_variational_bayes_in_a_network():
    model = network(one=low_rank((128, 30), 4, 0.1), two=RANDOM.normal(size=(30, 20)))
    found = rows(model, "vbmf", layers=["one", "two"])
    assert found["one"].ranks == (4,)
    assert found["two"].method == ""
    core = np.einsum(
        "hwio,ic,of->hwcf", *(RANDOM.normal(size=one) for one in ((3, 3, 2, 3), (2, 6), (3, 8)))
    )
    kernel = core + 0.01 * RANDOM.normal(size=core.shape)
    found = rows(network(conv=kernel), "vbmf", method="tucker", layers="conv")
    assert found["conv"].ranks == (2, 3)


@pytest.mark.parametrize("method", ["svd", "tucker", "spatial", "auto"])
def test_energy_and_share_and_one_rank(method):
    scales = np.geomspace(1, 0.01, 20)
    kernel = np.linalg.qr(RANDOM.normal(size=(30, 20)))[0] * scales
    model = network(two=kernel, conv=low_rank((54, 8), 3, 0.01))
    energies = scales**2 / np.sum(scales**2)
    rank = int(np.argmax(np.cumsum(energies) >= 0.9)) + 1
    found = rows(model, "energy:0.9", method=method)
    assert found["two"].ranks == (rank,)
    assert found["two"].error == pytest.approx(np.sqrt(1 - energies[:rank].sum()), rel=1e-4)
    assert all(row.error <= 0.1**0.5 for row in found.values())
    found = rows(model, 0.5, method=method)
    assert found["two"].ranks == (6,)  # 50 weights each, of 600.
    for row, units in ((found["conv"], 8), (found["one"], 30), (found["two"], 20)):
        assert row.method
        assert row.params_after - units <= (row.params_before - units) / 2
    found = rows(model, 25, method=method)
    assert found["two"].ranks == (20,)


WAYS = ("svd", "tucker", "spatial")
# Neighbours are alike, so that what the taps read goes together.
SMOOTH = RANDOM.normal(size=(40, 6, 6, 6)).cumsum(axis=1).cumsum(axis=2)
SMOOTH = (SMOOTH @ RANDOM.normal(size=(6, 6)) + 3).astype("float32")


def convolution(use_bias=True, **settings):
    keras.utils.set_random_seed(0)
    settings = {"padding": "same", "bias_initializer": "normal", "name": "conv"} | settings
    conv = layers.Conv2D(8, 3, use_bias=use_bias, **settings)
    return keras.Sequential([keras.Input((6, 6, 6)), conv])


def measured(model, found, x):
    """The error of what a convolution computes, about the mean where there is a bias."""
    made, expected = (keras.ops.convert_to_numpy(one(x)) for one in (found, model))
    (layer,) = model.layers
    if layer.use_bias:
        expected, made = expected - expected.mean((0, 1, 2)), made - expected.mean((0, 1, 2))
    return np.linalg.norm(made - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("method", WAYS)
@pytest.mark.parametrize(
    "settings",
    [{}, {"use_bias": False}, {"strides": 2, "padding": "valid"}, {"dilation_rate": 2}],
    ids=["bias", "no_bias", "strides", "dilated"],
)
def test_with_data_the_error_that_is_told_is_that_of_the_outputs(method, settings):
    model = convolution(**settings)
    found = keras_snare.factorize(model, 0.4, method=method, data=(SMOOTH,), batch_size=16)
    (row,) = keras_snare.factorize_report(found).rows
    assert row.error == pytest.approx(measured(model, found, SMOOTH), rel=1e-3)
    assert 0.01 < row.error < 1
    if model.layers[0].use_bias:
        means = [np.mean(one(SMOOTH), axis=(0, 1, 2)) for one in (found, model)]
        np.testing.assert_allclose(*means, atol=1e-4)


def test_many_places_are_looked_at_in_parts_and_not_all(monkeypatch):
    module, model = importlib.import_module("keras_snare.factorize.moments"), convolution()
    settings = {"method": "tucker", "data": (SMOOTH,), "batch_size": 20}
    (whole,) = rows(model, 0.4, **settings).values()
    monkeypatch.setattr(module, "_AT_ONCE", 3 * 36 * 54)
    (parts,) = rows(model, 0.4, **settings).values()
    assert parts.error == pytest.approx(whole.error, rel=1e-6)
    monkeypatch.setattr(module, "_MOST_ROWS", 240)
    (some,) = rows(model, 0.4, **settings).values()
    assert some.error != parts.error
    assert some.error == pytest.approx(whole.error, rel=0.2)


@pytest.mark.parametrize("data", [None, (SMOOTH,)], ids=["kernel", "data"])
@pytest.mark.parametrize("rank", [0.3, 0.6, 1, 3, "full", "vbmf"])
@pytest.mark.parametrize("seed", [0, 3])
def test_auto_takes_the_way_that_loses_least(rank, data, seed):
    model = convolution()
    random = np.random.default_rng(seed)
    shapes = [(3, 3, 6, 8), (3, 1, 6, 1), (1, 3, 1, 8), (1, 1, 6, 8)]
    parts = [random.normal(size=shape) for shape in shapes]
    kernel = (0.3 if seed else 1.0) * parts[0] + parts[1] * parts[2] + parts[3]
    model.layers[0].kernel.assign(kernel)
    each = {way: rows(model, rank, method=way, data=data)["conv"] for way in WAYS}
    errors = {row.method: row.error for row in each.values() if row.method}
    assert errors
    found = rows(model, rank, method="auto", data=data)["conv"]
    assert found.ranks == each[found.method].ranks
    assert found.error == pytest.approx(min(errors.values()), abs=1e-5)


@pytest.mark.parametrize("data", [None, (SMOOTH,)], ids=["kernel", "data"])
def test_auto_for_an_energy_takes_the_smallest(data):
    model = convolution()
    each = [rows(model, "energy:0.7", method=way, data=data)["conv"] for way in WAYS]
    found = rows(model, "energy:0.7", method="auto", data=data)["conv"]
    assert found.params_after == min(row.params_after for row in each)
    assert found.error <= 0.3**0.5 + 1e-6


def test_auto_takes_a_way_other_than_svd_for_one_rank_where_that_loses_less():
    model = convolution()
    high, wide = RANDOM.normal(size=(3, 1, 6, 1)), RANDOM.normal(size=(1, 3, 1, 8))
    model.layers[0].kernel.assign(high * wide)
    found = rows(model, 1, method="auto")["conv"]
    assert (found.method, found.ranks) == ("spatial", (1,))
    assert found.error < 1e-3


@pytest.mark.parametrize("method", ["svd", "tucker", "spatial", "auto"])
def test_kernels_of_zeros_on_data(method):
    model = convolution()
    model.layers[0].kernel.assign(np.zeros((3, 3, 6, 8)))
    for x in (SMOOTH, np.zeros_like(SMOOTH)):
        found = keras_snare.factorize(model, 1, method=method, data=(x,))
        np.testing.assert_array_equal(found(SMOOTH), model(SMOOTH))
        assert keras_snare.factorize_report(found).rows[0].error == 0


def test_variational_bayes_that_finds_nothing_says_so():
    found = rows(network(two=RANDOM.normal(size=(30, 20))), "vbmf", layers="two")
    assert found["two"].reason == "nothing of its kernel stands out of noise"


@pytest.mark.parametrize("method", ["svd", "auto"])
def test_a_budget_is_met_and_goes_to_where_it_keeps_most(method):
    kernels = {"one": low_rank((128, 30), 3, 1e-3), "two": RANDOM.normal(size=(30, 20))}
    model = network(**kernels)
    for budget in (0.9, 0.5, 0.25, 1500):
        found = keras_snare.factorize(model, budget=budget, method=method)
        most = budget if isinstance(budget, int) else budget * model.count_params()
        assert most - 160 <= found.count_params() <= most
    found = rows(model, budget=0.5, method=method)
    assert found["one"].ranks[0] >= 3
    assert found["one"].error < 0.01
    assert found["two"].reason == "the budget has room for all of it"
    weighted = rows(model, budget=0.5, data=(RANDOM.normal(size=(50, 4, 4, 6)),))
    assert sum(row.params_after for row in weighted.values()) <= 0.5 * model.count_params()


@pytest.mark.parametrize("width", [32, 64])
def test_places_are_looked_at_all_over_an_image(width):
    """At even distances they would be of the first column, which is padded."""
    conv = layers.Conv2D(2, 3, padding="same", name="conv")
    model = keras.Sequential([keras.Input((width, width, 1)), conv])
    found = moments(trace(model), [conv], (np.ones((64, width, width, 1)),), 64, True)[id(conv)]
    # Each tap reads a one, but for those that reach beyond an edge.
    expected = np.array([1 - 1 / width, 1.0, 1 - 1 / width])
    np.testing.assert_allclose(found.center.reshape(3, 3)[1], expected, atol=0.015)
