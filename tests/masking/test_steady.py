"""Where the training step need not mask the weights, and where it has to."""

import keras
import numpy as np
import pytest
from training import compiled, random_data

from keras_snare import Masks
from keras_snare.masking import MaskedStep, kernels_of
from keras_snare.masking.steady import _STEADY, leaves_zeros

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


class Shaken(keras.Sequential):
    """Moves every weight after the update, in its own training step."""

    def train_step(self, data):
        logs = super().train_step(data)
        for one in self.trainable_variables:
            one.assign_add(keras.ops.ones_like(one))
        return logs


def test_which_steps_are_known():
    def known(optimizer, **options):
        model = _model(optimizer, **options)
        return leaves_zeros(model, model.trainable_variables)

    adam, scaled = keras.optimizers.Adam, keras.optimizers.LossScaleOptimizer
    for one in (adam(), scaled(adam())):
        assert known(one)
    for one in (Restless(), scaled(Restless()), keras.optimizers.Ftrl(), keras.optimizers.Muon()):
        assert not known(one)
    assert not known(adam(), constraint=Restraint())
    assert not known(adam(), kind=Shaken)


@pytest.mark.parametrize("optimizer", sorted(_STEADY, key=lambda one: one.__name__))
def test_known_optimizers_move_no_zero_without_gradient_and_history(optimizer):
    """The optimizer alone: nothing of ours runs after its update."""
    own = optimizer(0.1, weight_decay=0.1, use_ema=True, ema_overwrite_frequency=2)
    random = np.random.default_rng(1)
    variable = keras.Variable(random.normal(size=(4, 3)))
    own.build([variable])
    for step in range(6):
        gradient = random.normal(size=(4, 3)).astype("float32")
        if step == 2:
            variable.assign(keras.ops.concatenate([variable[:2] * 0, variable[2:]]))
            for slot in own.variables:
                if slot.shape == variable.shape:
                    slot.assign(keras.ops.concatenate([slot[:2] * 0, slot[2:]]))
        gradient[:2] *= step < 2
        own.apply([keras.ops.convert_to_tensor(gradient)])
    found = keras.ops.convert_to_numpy(variable)
    assert (found[:2] == 0).all()
    assert np.abs(found[2:]).min() > 0


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
