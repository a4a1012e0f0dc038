"""What `channel_groups` says can be cut, can be cut: the model runs on and gives what it gave."""

import cuts
import keras
import models
import numpy as np
import pytest

import keras_snare
from keras_snare.graph import channel_groups

layers, ops = keras.layers, keras.ops


def behind(operation, shape=(4, 6), units=5):
    """An operation behind a layer that makes channels, and one that reads what it gives."""
    inputs = keras.Input(shape)
    found = operation(layers.Dense(units, name="unit")(inputs))
    return keras.Model(inputs, layers.Dense(3, name="last")(found))


def between(operation, units=4):
    """An operation on two tensors of units that nothing else couples."""
    inputs = keras.Input((4, 6))
    one, other = layers.Dense(units, name="one")(inputs), layers.Dense(units, name="other")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="last")(operation(one, other)))


def attention_with_a_mask(one, other):
    return layers.MultiHeadAttention(2, 3)(one, one, attention_mask=other > 0)


def attention_scores_with_a_mask(one, other):
    return layers.Attention()([one, one], mask=[None, ops.any(other > 0, axis=1)])


def recurrence_with_a_mask(one, other):
    return layers.GRU(5)(one, mask=ops.any(other > 0, axis=1))


def both_directions_with_a_mask_and_states(one, other):
    state = layers.GlobalAveragePooling1D()(one)
    both = layers.Bidirectional(layers.GRU(int(state.shape[-1])))
    return both(one, initial_state=[state, state], mask=ops.any(other > 0, axis=1))


def pooling_with_a_mask(one, other):
    return layers.GlobalAveragePooling1D()(one, mask=ops.any(other > 0, axis=1))


BUILDS = {
    "constant among merged": lambda: behind(
        lambda x: layers.Multiply()([x, np.ones((1, 1, 5), "float32")])
    ),
    "constant among concatenated": lambda: behind(
        lambda x: layers.Concatenate()([x, np.ones((4, 4, 3), "float32")])
    ),
    "constants of a function": lambda: behind(
        lambda x: ops.concatenate([x, np.ones((4, 4, 3), "float32")], axis=-1)
    ),
    "squeeze of what is single": lambda: behind(ops.squeeze, shape=(1, 6)),
    "slice before a dense layer": lambda: behind(lambda x: layers.Dense(4)(x[..., :2])),
    "slice before a convolution": lambda: behind(lambda x: layers.Conv1D(4, 2)(x[..., :2])),
    "several slices": lambda: behind(lambda x: x[..., 1:3] * x[:, :1, 3:] + x[:, 1:2, -2:]),
    "slice with a step": lambda: behind(lambda x: layers.Dense(4)(x[..., ::2])),
    "weights of an average": lambda: between(
        lambda one, other: ops.average(one, axis=1, weights=ops.exp(other))
    ),
    "mask of attention": lambda: between(attention_with_a_mask),
    "mask of both directions": lambda: between(both_directions_with_a_mask_and_states),
    "mask of scores": lambda: between(attention_scores_with_a_mask),
    "mask of pooling": lambda: between(pooling_with_a_mask),
    "mask of recurrence": lambda: between(recurrence_with_a_mask),
}


# Keras 3.12 says so of its own squeeze without an axis.
@pytest.mark.filterwarnings("ignore:NotImplemented should not be used:DeprecationWarning")
@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
@pytest.mark.parametrize("most", [False, True], ids=["one", "most"])
def test_every_group_can_be_cut(build, most):
    for name in [group.name for group in channel_groups(build()).prunable()]:
        keras.utils.clear_session(free_memory=False)
        model = build()
        groups = channel_groups(model)
        group = groups[name]
        going = group.roots[group.first(group.free, group.width if most else 1)]
        keras_snare.shrink(model, cuts.plan_without(groups, going))
        found = model(models.inputs_for(model))
        assert tuple(found.shape[1:]) == model.output_shape[1:]


def test_plan_that_leaves_a_reader_nothing_is_refused():
    model = BUILDS["slice before a convolution"]()
    with pytest.raises(keras_snare.InvalidPlanError):
        keras_snare.shrink(model, {"unit": [2, 3]})
    model(models.inputs_for(model))
