"""Where the training step need not mask the gradients, and where it has to."""

import keras
import numpy as np
import pytest
from training import compiled, random_data

from keras_snare import Masks
from keras_snare.masking import MaskedStep, kernels_of
from keras_snare.masking.elementwise import _ELEMENTWISE, is_elementwise

layers = keras.layers


class Restless(keras.optimizers.SGD):
    """Moves every weight, whatever its gradient is."""

    def update_step(self, gradient, variable, learning_rate):
        self.assign_add(variable, keras.ops.ones_like(gradient))


class Restraint(keras.constraints.Constraint):
    """Moves every weight after the update."""

    def __call__(self, w):
        return w + 1


def _model(optimizer, constraint=None, kind=keras.Sequential):
    keras.utils.set_random_seed(0)
    dense = layers.Dense(3, "softmax", kernel_constraint=constraint)
    model = kind([keras.Input((4,)), dense])
    compiled(model, optimizer)
    return model


def _masked(model):
    step = MaskedStep(model, kernels_of(model))
    random = np.random.default_rng(0)
    step.attach()
    step.set(Masks({one.name: random.random(one.shape) > 0.5 for one in step.kernels}))
    return step


def _pruned_and_kept(step):
    (kernel,) = step.kernels
    weights, kept = keras.ops.convert_to_numpy(kernel.variable), step.masks[kernel.name]
    return weights[~kept], weights[kept]


def test_which_optimizers_are_known():
    def known(optimizer, constraint=None):
        model = _model(optimizer, constraint)
        return is_elementwise(model.optimizer, model.trainable_variables)

    adam, scaled = keras.optimizers.Adam, keras.optimizers.LossScaleOptimizer
    for one in (adam(), scaled(adam()), adam(clipvalue=1.0), keras.optimizers.Ftrl()):
        assert known(one)
    for one in (Restless(), scaled(Restless()), keras.optimizers.Muon()):
        assert not known(one)
    for name in ("clipnorm", "global_clipnorm"):
        assert not known(adam(**{name: 1.0}))
        assert not known(scaled(adam(**{name: 1.0})))
    assert not known(adam(), Restraint())
    assert not is_elementwise(None, [])


@pytest.mark.parametrize("optimizer", sorted(_ELEMENTWISE, key=lambda one: one.__name__))
def test_gradients_of_pruned_weights_change_no_other_weight(optimizer):
    """The optimizer alone, once with all gradients and once with those of four rows at zero."""
    options = {"weight_decay": 0.1, "use_ema": True, "ema_overwrite_frequency": 3}
    found = []
    for masks in (False, True):
        own = optimizer(keras.optimizers.SGD(0.1, momentum=0.9)) if _wraps(optimizer) else None
        own = own or optimizer(0.1, **options)
        random = np.random.default_rng(1)
        variable = keras.Variable(random.normal(size=(8, 3)))
        own.build([variable])
        for _ in range(5):
            gradient = random.normal(size=(8, 3)).astype("float32")
            gradient[:4] *= not masks
            own.apply([keras.ops.convert_to_tensor(gradient)])
        found.append(keras.ops.convert_to_numpy(variable))
    np.testing.assert_array_equal(found[0][4:], found[1][4:])
    assert (found[0][:4] != found[1][:4]).any()


def _wraps(optimizer) -> bool:
    return optimizer is keras.optimizers.LossScaleOptimizer


@pytest.mark.parametrize(
    ("optimizer", "constraint"),
    [(Restless(), None), (keras.optimizers.Adam(), Restraint())],
    ids=["optimizer", "constraint"],
)
def test_what_moves_every_weight_is_masked(optimizer, constraint):
    model = _model(optimizer, constraint)
    step = _masked(model)
    model.fit(*random_data(model, 16), batch_size=8, verbose=0)
    step.detach()
    pruned, kept = _pruned_and_kept(step)
    assert (pruned == 0).all()
    assert (kept > 1).any()


def test_hold_masks_weights_and_slots_that_were_put_in():
    model = _model(keras.optimizers.Adam(0.1))
    step = _masked(model)
    for one in (*model.trainable_variables, *model.optimizer.variables[2:]):
        one.assign(np.ones(one.shape))
    step.hold()
    model.fit(*random_data(model, 16), batch_size=8, verbose=0)
    step.detach()
    pruned, kept = _pruned_and_kept(step)
    assert (pruned == 0).all()
    assert np.abs(kept).min() > 0
