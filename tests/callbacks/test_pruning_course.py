"""When a pruning callback prunes: updates that are missed, made later, or refused beforehand."""

import re
import warnings
from itertools import chain, repeat

import keras
import numpy as np
import pytest
from small_fits import X, Y, fit, network

from keras_snare import (
    ClusterCallback,
    LotteryTicketCallback,
    MagnitudePruneCallback,
    QuantizeAwareCallback,
    SynFlowCallback,
)
from keras_snare.masking import ConnectionPruner
from keras_snare.search import ScoreSource

EarlyStopping = keras.callbacks.EarlyStopping
pytestmark = pytest.mark.filterwarnings("ignore:fit ends after epoch")


class Overflows(keras.optimizers.SGD):
    """A scale of the loss at which every step overflows."""

    def scale_loss(self, loss):
        return loss * np.float32(3e38) * 10


@pytest.mark.filterwarnings("ignore:every step before the last update")
@pytest.mark.parametrize("structured", [False, True], ids=["connections", "units"])
def test_nothing_goes_that_was_not_scored(structured):
    settings = {"criterion": "taylor", "end_epoch": 2, "structured": structured}
    model = network(optimizer=Overflows(0.0))
    prune = MagnitudePruneCallback(0.5, begin_epoch=1, **settings)
    assert fit(model, [prune], epochs=4)["sparsity"] == [0, 0, 0, 0]
    prune = MagnitudePruneCallback(0.5, **settings)
    found = fit(network(), [prune], epochs=4, initial_epoch=1)["sparsity"]
    assert found[0] == 0
    assert found[1] == pytest.approx(0.5, abs=0.05)
    for wrong in ({"end_epoch": 1}, {"schedule": "constant", "end_epoch": 3}):
        prune = MagnitudePruneCallback(0.5, **(settings | wrong))
        with pytest.raises(ValueError, match="prunes before the first step"):
            fit(network(), [prune], epochs=4, initial_epoch=1)


def test_a_fit_that_goes_on_after_the_last_update_by_steps():
    model = network()
    prune = MagnitudePruneCallback(0.5, end_epoch=1, per="step", frequency=2)
    fit(model, [prune], epochs=2)
    after = fit(model, [prune], epochs=4, initial_epoch=2)
    assert after["sparsity"] == [pytest.approx(0.5, abs=0.01)] * 2


def test_a_fit_that_is_stopped_before_the_last_update_says_so():
    prune = MagnitudePruneCallback(0.8, end_epoch=4)
    early = EarlyStopping("loss", patience=0, mode="max")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit(network(), [prune, early], epochs=6)
    said = [str(one.message) for one in found if one.category is UserWarning]
    assert len(said) == 1
    assert re.search(r"stopped after epoch \d, before .* start_from_epoch=4", said[0])
    assert 0 < prune.masks.sparsity < 0.8


def test_a_fit_without_an_epoch_left():
    model, prune = network(), MagnitudePruneCallback(0.5, end_epoch=1)
    fit(model, [prune], epochs=3)
    masks = prune.masks
    early = EarlyStopping("loss", restore_best_weights=True)
    fit(model, [prune, early], epochs=3, initial_epoch=3)
    assert prune.masks.sparsity == masks.sparsity == pytest.approx(0.5, abs=0.01)
    fit(network(), [MagnitudePruneCallback(0.5)], epochs=5, initial_epoch=5)
    with pytest.raises(ValueError, match="start_from_epoch=1"):
        fit(model, [prune, early], epochs=3)


@pytest.mark.parametrize("structured", [False, True], ids=["connections", "units"])
def test_a_last_update_that_was_not_scored_is_made_later_or_missed_aloud(structured, monkeypatch):
    settings = {"criterion": "taylor", "schedule": "one_shot", "structured": structured}
    prune = MagnitudePruneCallback(0.5, begin_epoch=1, **settings)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert fit(network(optimizer=Overflows(0.0)), [prune], epochs=3)["sparsity"] == [0, 0, 0]
    assert any("every step before the last update" in str(one.message) for one in found)
    answers = chain([False], repeat(True))
    kind, name = (ScoreSource, "ready") if structured else (ConnectionPruner, "scored")
    monkeypatch.setattr(kind, name, property(lambda _: next(answers)))
    sparsity = fit(network(), [prune], epochs=4)["sparsity"]
    assert sparsity[:2] == [0, 0]
    assert sparsity[2:] == [pytest.approx(0.5, abs=0.05)] * 2


@pytest.mark.parametrize(
    "callback",
    [
        MagnitudePruneCallback(0.5, criterion="obd", begin_epoch=1, scoring_data=(X[:, :4], Y)),
        MagnitudePruneCallback(
            0.5, criterion="activation", begin_epoch=1, scoring_data=(X[:, :4],), structured=True
        ),
        LotteryTicketCallback(2, criterion="obd", scoring_data=(X[:, :4], Y)),
        SynFlowCallback(0.5, criterion="snip", scoring_data=(X[:, :4], Y)),
    ],
    ids=["connections", "units", "lottery", "snip"],
)
def test_scoring_data_of_a_wrong_shape_are_refused_before_training(callback):
    model = network()
    before = model.get_weights()
    with pytest.raises(ValueError, match="shape"):
        fit(model, [callback], epochs=6)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClusterCallback(4, start_epoch=1),
        lambda: QuantizeAwareCallback(1, path=None, engine="keras"),
        lambda: MagnitudePruneCallback(0.5, end_epoch=1),
    ],
    ids=["clusters", "quantized", "masks"],
)
def test_a_resumed_fit_keeps_no_weights_of_before(make):
    early = EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(ValueError, match="start_from_epoch=1"):
        fit(network(), [early, make()], epochs=3)
    assert len(fit(network(), [early, make()], epochs=4, initial_epoch=2)["loss"]) == 2
