"""What an optimizer holds for which weight, and the private names of Keras that this stands on."""

import keras
import models
import numpy as np
import pytest

from keras_snare.surgery import optimizers

OPTIMIZERS = keras.optimizers


def built(optimizer, name="residual"):
    model = models.build(name)
    optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: OPTIMIZERS.SGD(0.1), 0),
        (lambda: OPTIMIZERS.SGD(0.1, momentum=0.9), 1),
        (lambda: OPTIMIZERS.Adam(), 2),
        (lambda: OPTIMIZERS.Adam(amsgrad=True, use_ema=True), 4),
        (lambda: OPTIMIZERS.RMSprop(momentum=0.9, centered=True), 3),
        (lambda: OPTIMIZERS.Adam(gradient_accumulation_steps=2), 3),
        (lambda: OPTIMIZERS.LossScaleOptimizer(OPTIMIZERS.Lion()), 1),
    ],
    ids=["sgd", "momentum", "adam", "amsgrad and ema", "rmsprop", "accumulation", "loss scale"],
)
def test_slots_are_found_with_their_weights(make, expected):
    optimizer = make()
    model = built(optimizer)
    found = optimizers.slots(optimizer)
    assert len(found) == expected * len(model.trainable_variables)
    for slot in found:
        assert tuple(slot.value.shape) == tuple(slot.variable.shape)
        assert slot.axes == tuple(range(len(slot.variable.shape)))
        assert slot.variable.path.replace("/", "_") in slot.value.path


def test_adafactor_keeps_statistics_over_rows_and_columns():
    optimizer = OPTIMIZERS.Adafactor()
    model = built(optimizer)
    kernel = model.get_layer("inner").kernel
    axes = [slot.axes for slot in optimizers.slots(optimizer) if slot.variable is kernel]
    assert sorted(axes) == [(0, 1, 2), (0, 1, 2, 3), (0, 1, 3)]


def test_no_optimizer_has_no_slots():
    assert optimizers.slots(None) == []
    assert list(optimizers.optimizers_of(None)) == []
    assert optimizers.variable_keys(None, []) == {}
    optimizers.rename_keys(None, {})


def test_optimizer_that_is_not_built_has_no_slots():
    assert optimizers.slots(OPTIMIZERS.Adam()) == []


def test_wrapped_optimizers_are_found():
    inner = OPTIMIZERS.Adam()
    outer = OPTIMIZERS.LossScaleOptimizer(inner)
    assert list(optimizers.optimizers_of(outer)) == [outer, inner]


def test_keys_are_renamed_in_place_and_put_back():
    optimizer = OPTIMIZERS.Adam()
    model = built(optimizer)
    kernel = model.get_layer("inner").kernel
    table = optimizer._trainable_variables_indices
    tables = optimizers.variable_tables(optimizer)
    before, old, position = dict(table), kernel.value, optimizer._get_variable_index(kernel)
    keys = optimizers.variable_keys(optimizer, [kernel])
    kernel._initialize(np.zeros(kernel.shape))
    with pytest.raises(KeyError):
        optimizer._get_variable_index(kernel)
    optimizers.rename_keys(optimizer, keys)
    assert optimizer._get_variable_index(kernel) == position
    assert optimizer._trainable_variables_indices is table
    assert len(table) == len(before)
    optimizers.put_back_tables(tables)
    assert dict(table) == before
    kernel._value = old
    assert optimizer._get_variable_index(kernel) == position


# Each private name that surgery/optimizers.py stands on, with the form that it relies on.


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "wrapped"])
def test_keras_optimizer_lists_its_variables_in_order(wrapped):
    optimizer = OPTIMIZERS.Adam()
    model = built(OPTIMIZERS.LossScaleOptimizer(optimizer) if wrapped else optimizer)
    held = optimizer._trainable_variables
    assert isinstance(held, list)
    assert [id(one) for one in held] == [id(one) for one in model.trainable_variables]
    for name in ("_momentums", "_velocities"):
        assert isinstance(vars(optimizer)[name], list)
        assert len(vars(optimizer)[name]) == len(held)


def test_keras_optimizer_lists_all_its_variables():
    optimizer = OPTIMIZERS.Adam()
    built(optimizer)
    assert isinstance(optimizer._variables, list)
    assert {id(one) for one in optimizer._momentums} <= {id(one) for one in optimizer._variables}


def test_keras_optimizer_finds_slots_by_the_key_of_the_variable():
    optimizer = OPTIMIZERS.Adam()
    model = built(optimizer)
    table = optimizer._trainable_variables_indices
    assert isinstance(table, dict)
    for at, variable in enumerate(model.trainable_variables):
        assert table[optimizer._var_key(variable)] == at


def test_keras_optimizer_excludes_weights_by_their_key():
    optimizer = OPTIMIZERS.AdamW()
    kernel = models.build("dense").get_layer("first").kernel
    optimizer.exclude_from_weight_decay(var_list=[kernel])
    assert optimizer._exclude_from_weight_decay == {optimizer._var_key(kernel)}
    assert optimizer._exclude_from_weight_decay_cache == {}
    assert not optimizer._use_weight_decay(kernel)
    assert optimizer._exclude_from_weight_decay_cache == {optimizer._var_key(kernel): False}


def test_keras_optimizer_keeps_averages_and_accumulators_in_lists():
    optimizer = OPTIMIZERS.SGD(use_ema=True, gradient_accumulation_steps=2)
    model = built(optimizer)
    for name in ("_model_variables_moving_average", "_accumulated_gradients"):
        assert len(vars(optimizer)[name]) == len(model.trainable_variables)


def test_keras_adafactor_keeps_its_statistics_in_lists():
    optimizer = OPTIMIZERS.Adafactor()
    model = built(optimizer, "dense")
    rows, columns = (vars(optimizer)[name] for name in ("_r", "_c"))
    shapes = [
        (tuple(weight.shape), tuple(row.shape), tuple(column.shape))
        for weight, row, column in zip(model.trainable_variables, rows, columns, strict=True)
    ]
    assert shapes[:2] == [((6, 5), (6,), (5,)), ((5,), (), ())]


@pytest.mark.skipif(not hasattr(OPTIMIZERS, "MultiOptimizer"), reason="newer than this Keras")
def test_keras_multi_optimizer_chooses_by_the_key_of_the_variable():
    inner = OPTIMIZERS.SGD()
    optimizer = OPTIMIZERS.MultiOptimizer(OPTIMIZERS.OptimizerMap(inner))
    model = built(optimizer)
    assert list(optimizer.optimizers) == [inner]
    keys = {optimizer._var_key(variable) for variable in model.trainable_variables}
    assert set(optimizer._var_to_optimizer_idx) == keys
