"""Pruning among other things: own training steps, other callbacks, and what cannot go together."""

import keras
import numpy as np
import pytest
from fitting import leftovers
from models import chain
from small_fits import RANDOM, X, Y, fit, network

import keras_snare
from keras_snare import (
    ClusterCallback,
    HoldMasksCallback,
    LotteryTicketCallback,
    MagnitudePruneCallback,
    Masks,
    SnareCallback,
    SynFlowCallback,
    UnsupportedModelError,
    sparsify,
)
from keras_snare.masking import kernels_of

layers = keras.layers
EarlyStopping = keras.callbacks.EarlyStopping
pytestmark = pytest.mark.filterwarnings("ignore:fit ends after epoch")


class OwnUpdate(keras.Sequential):
    """Updates its weights without the optimizer."""

    def train_step(self, data):
        for one in self.trainable_variables:
            one.assign_add(keras.ops.full(one.shape, 0.1))
        return {"loss": keras.ops.zeros(())}


class InParts(keras.Sequential):
    """Updates one layer after the other."""

    def train_step(self, data):
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        weights = self.trainable_weights
        gradients = tape.gradient(loss, [one.value for one in weights])
        for at in (slice(0, 2), slice(2, 4)):
            self.optimizer.apply(gradients[at], weights[at])
        return {"loss": loss}


@pytest.mark.parametrize(
    "callback",
    [
        MagnitudePruneCallback(0.5, schedule="constant"),
        ClusterCallback(4),
        MagnitudePruneCallback(0.5, criterion="taylor", structured=True, begin_epoch=1),
        SnareCallback(1.0, monitor="loss", criterion="taylor", warmup_epochs=1, retrain_epochs=1),
    ],
    ids=["masks", "clusters", "units", "search"],
)
def test_step_without_the_optimizer_is_refused(callback):
    model = network(OwnUpdate)
    with pytest.raises(UnsupportedModelError, match=r"OwnUpdate.train_step, which does not"):
        fit(model, [callback])
    assert leftovers(model) == []
    assert model.layers[0].units == 16


def test_masks_hold_in_steps_that_update_in_parts():
    model = network(InParts, keras.optimizers.SGD(0.5, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    prune = MagnitudePruneCallback(0.5, schedule="constant")
    fit(model, [prune])
    assert Masks.of(model).sparsity == pytest.approx(0.5, abs=0.01)
    assert leftovers(model) == []


def test_own_apply_of_an_optimizer_is_used_and_left():
    model, calls = network(), []
    given = model.optimizer.apply

    def apply(*args, **kwargs):
        calls.append(1)
        return given(*args, **kwargs)

    model.optimizer.apply = apply
    fit(model, [MagnitudePruneCallback(0.5, schedule="constant")])
    assert calls
    assert model.optimizer.apply is apply
    assert Masks.of(model).sparsity == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
@pytest.mark.slow
def test_early_stopping_and_units_removed_for_real(first):
    prune = MagnitudePruneCallback(0.8, end_epoch=1, scope="global", remove_dead=True)
    early = EarlyStopping("loss", restore_best_weights=True, start_from_epoch=1)
    model = network()
    if first:
        fit(model, [early, prune])
        assert prune.masks is not None
        return
    with pytest.raises(ValueError, match="Put it in front"):
        fit(model, [prune, early])
    assert leftovers(model) == []


class Unreadable(keras.Model):
    """Its graph depends on the values of its inputs."""

    def __init__(self):
        super().__init__()
        self.one = layers.Dense(4, "softmax")

    def call(self, x):
        import tensorflow as tf

        return self.one(tf.py_function(lambda a: a, [x], tf.float32))


def test_removing_units_of_a_model_without_a_graph_is_refused_before_training():
    model = Unreadable()
    model.compile("adam", "sparse_categorical_crossentropy")
    model(X[:1])
    before = model.get_weights()
    with pytest.raises(UnsupportedModelError):
        fit(model, [MagnitudePruneCallback(0.5, remove_dead=True)])
    assert all(map(np.array_equal, before, model.get_weights()))


def test_connections_of_a_model_without_a_graph_are_scored_by_data():
    model = Unreadable()
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    model(X[:1])
    prune = SynFlowCallback(0.5, criterion="snip", rounds=1, scoring_data=(X, Y))
    assert fit(model, [prune], epochs=1)["sparsity"] == [pytest.approx(0.5, abs=0.02)]


def test_masks_after_removing_name_the_pruned_kernels_only():
    model = network()
    prune = MagnitudePruneCallback(0.5, layers="a", end_epoch=1, remove_dead=True)
    fit(model, [prune])
    assert list(prune.masks) == ["a/kernel"]


def test_kernels_of_the_same_name_are_refused():
    class Twice(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = (layers.Dense(8, name="fc") for _ in range(2))

        def call(self, x):
            return self.two(self.one(x))

    model = Twice()
    model(X[:1])
    with pytest.raises(UnsupportedModelError, match=r"2 kernels are 'fc/kernel'"):
        sparsify(model, 0.5)


def test_exception_at_the_beginning_of_a_round_leaves_nothing(monkeypatch):
    model = network()
    lottery = LotteryTicketCallback(2, 0.4)

    def fails(*args):
        raise KeyboardInterrupt

    taught = keras_snare.DistillationCallback(keras.models.clone_model(model))
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)
    given = schedule.schedule
    from keras_snare.masking import ConnectionPruner

    monkeypatch.setattr(ConnectionPruner, "thinned", fails)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [taught, lottery, schedule], epochs=6)
    assert leftovers(model) == []
    assert schedule.schedule is given


def test_rewinding_to_the_end_of_an_epoch_of_steps_together():
    model = network(steps_per_execution=2)
    lottery = LotteryTicketCallback(1, 0.4, per="step", rewind_to=5)
    fit(model, [lottery], epochs=3)
    assert len(lottery.tickets) == 2
    assert lottery.tickets[0].sparsity == 0


def test_dormant_weights_survive_averages_that_change_places():
    model = network(optimizer=keras.optimizers.SGD(0.0, use_ema=True))
    prune = MagnitudePruneCallback(0.5, regrowth="splicing", end_epoch=3)
    before = model.get_weights()
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    fit(model, [prune, swap], epochs=5)
    for own, now in zip(before, model.get_weights(), strict=True):
        assert ((now == 0) | np.isclose(now, own)).all()


def test_block_is_ranked_by_what_is_left_of_it():
    model = chain((8,), layers.Dense(8, name="a", use_bias=False))
    weights = np.where(np.arange(8)[:, None] < 4, 10.0, 1.0) * np.ones((8, 8))
    model.layers[0].kernel.assign(weights)
    spent = np.ones((8, 8), bool)
    spent[::4, ::4] = False
    masks = sparsify(model, 0.5, block=(4, 4), initial_masks=Masks({"a/kernel": spent}))
    assert masks["a/kernel"][:4].sum() == 30
    assert not masks["a/kernel"][4:].any()


def test_clusters_keep_zeros_that_are_held():
    model = network(optimizer=keras.optimizers.SGD(0.0))
    masks = Masks({one.name: RANDOM.random(one.shape) > 0.5 for one in kernels_of(model)})
    hold, cluster = HoldMasksCallback(masks), ClusterCallback(6)
    before = network().get_weights()[0]
    fit(model, [hold, cluster])
    kept = masks["a/kernel"]
    found = cluster.codebooks["a/kernel"].weights
    assert not found[~kept].any()
    assert np.abs(found - before)[kept].max() < 0.3
    with pytest.raises(ValueError, match="in front of ClusterCallback"):
        fit(network(), [cluster, hold])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MagnitudePruneCallback(pattern=(2, 4), scope="erk"), "'erk' gives each kernel"),
        (lambda: SynFlowCallback(pattern=(2, 4), scope="erk"), "'erk' gives each kernel"),
        (lambda: sparsify(network(), pattern=(2, 4), scope="erk"), "'erk' gives each kernel"),
        (lambda: MagnitudePruneCallback(pattern=(2, 4), remove_dead=True), "breaks the pattern"),
        (lambda: SynFlowCallback(pattern=(2, 4), remove_dead=True), "breaks the pattern"),
        (
            lambda: MagnitudePruneCallback(0.5, schedule="one_shot", regrowth="rigl"),
            "a schedule of one update",
        ),
        (
            lambda: LotteryTicketCallback(control="random_mask", rewind="learning_rate"),
            "Rewind the weights",
        ),
        (lambda: keras_snare.masking.get_connection_criterion("random").__class__(-1), "`seed`"),
        (
            lambda: fit(network(), [MagnitudePruneCallback(0.5, per="step")], epochs=1),
            "Train for more epochs",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
