"""Masks under `tf.distribute`: on several replicas the same network comes out as on one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from fitting import flat_digits
from replicas import in_another_process
from training import compiled, dense_model, weights_of

import keras_snare

WAYS = {
    "magnitude": {},
    "live taylor": {"criterion": "taylor"},
    "splicing": {"regrowth": "splicing", "scope": "global"},
    "rigl": {"regrowth": "rigl"},
    "dead units": {"remove_dead": True},
}


def trained(replicas, way):
    """Prunes to 80 % while training on some replicas, or without a strategy (0)."""
    keras.utils.set_random_seed(0)
    (x, y), _ = flat_digits(80, 10)
    devices = [f"CPU:{at}" for at in range(max(replicas, 1))]
    scope = tf.distribute.MirroredStrategy(devices).scope() if replicas else tf.init_scope()
    with scope:
        model = compiled(dense_model(64, (12, 8), 10), keras.optimizers.SGD(0.1, momentum=0.9))
    prune = keras_snare.MagnitudePruneCallback(0.8, end_epoch=2, **way)
    model.fit(x, y, batch_size=20, epochs=4, shuffle=False, verbose=0, callbacks=[prune])
    kernels = [one for one in weights_of(model) if one.ndim > 1]
    kept = [prune.masks[name] for name in prune.masks]
    assert all((one[~mask] == 0).all() for one, mask in zip(kernels, kept, strict=True))
    assert prune.masks.sparsity >= 0.75 or "remove_dead" in way
    return weights_of(model), kept


def assert_equal(replicas, name):
    found, expected = trained(replicas, WAYS[name]), trained(0, WAYS[name])
    for part, others in zip(found, expected, strict=True):
        for one, other in zip(part, others, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_one_replica(name):
    assert_equal(1, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_two_replicas(name):
    in_another_process(__file__, f"assert_equal(2, {name!r})")
