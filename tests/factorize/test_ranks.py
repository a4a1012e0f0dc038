"""How ranks are chosen."""

import keras
import numpy as np
import pytest

import keras_snare
from keras_snare.factorize.vbmf import vbmf_rank

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


def test_auto_takes_the_way_that_loses_least():
    model = network()
    each = {way: rows(model, 0.3, method=way)["conv"] for way in ("svd", "tucker", "spatial")}
    found = rows(model, 0.3, method="auto")["conv"]
    assert found in each.values()
    sizes = {way: rows(model, "energy:0.3", method=way)["conv"].params_after for way in each}
    assert rows(model, "energy:0.3", method="auto")["conv"].params_after == min(sizes.values())


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
