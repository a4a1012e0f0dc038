"""`restore` returns to the bit, `shrink` does all or nothing."""

import functools

import cuts
import keras
import models
import numpy as np
import pytest
from state import assert_same_state, state_of

import keras_snare
from keras_snare.graph import channel_groups
from keras_snare.surgery import take_snapshot, variables

PLAN = {"stem": [0, 2, 3], "branch": [0, 2, 3], "inner": [1, 3]}


def compiled(name="residual", optimizer="adam", steps=2, eager=True):
    model = models.build(name)
    model.compile(optimizer, "mse", run_eagerly=eager, jit_compile=False)
    train(model, steps)
    return model


def train(model, steps=2):
    random = np.random.default_rng(steps)
    targets = [random.normal(size=(4, *tensor.shape[1:])) for tensor in model.outputs]
    for _ in range(steps):
        model.train_on_batch(models.inputs_for(model), targets if len(targets) > 1 else targets[0])


@pytest.mark.parametrize("name", [name for name in models.SMALL if name != "channels_first_3d"])
def test_restore_returns_to_the_same_state(name):
    model = models.build(name)
    before = state_of(model)
    undo = keras_snare.shrink(model, cuts.halves(channel_groups(model)))
    assert state_of(model)["shapes"] != before["shapes"]
    undo.restore()
    assert_same_state(state_of(model), before)
    model(models.inputs_for(model))


OPTIMIZERS = {
    "adam": lambda: "adam",
    "adafactor": lambda: keras.optimizers.Adafactor(0.1),
    "ema": lambda: keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True),
    "accumulation": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps", [0, 2], ids=["at once", "after training"])
def test_restore_returns_with_the_optimizer(name, steps):
    model = compiled(optimizer=OPTIMIZERS[name](), steps=3)
    before = state_of(model)
    undo = keras_snare.shrink(model, PLAN)
    train(model, steps)
    undo.restore()
    assert_same_state(state_of(model), before)


@functools.cache
def values_of_three_steps(name):
    """What a model without any cut comes to."""
    return state_of(compiled(optimizer=OPTIMIZERS[name](), steps=3))["values"]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "snapshot"])
def test_restore_returns_before_the_first_step(name, cut):
    model = compiled(optimizer=OPTIMIZERS[name](), steps=0)
    undo = keras_snare.shrink(model, PLAN) if cut else take_snapshot(model)
    train(model)
    undo.restore()
    train(model, 3)
    assert state_of(model)["values"] == values_of_three_steps(name)


def test_restored_model_trains_as_if_nothing_had_been():
    model, untouched = compiled(), compiled()
    undo = keras_snare.shrink(model, PLAN)
    train(model, 3)
    undo.restore()
    train(model), train(untouched)
    for one, other in zip(model.get_weights(), untouched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_compiled_steps_are_the_old_objects_and_run_without_new_tracing():
    model = compiled(eager=False)
    targets = np.zeros((4, 3))
    model.evaluate(models.inputs_for(model), targets, verbose=0)
    train_function, test_function = model.train_function, model.test_function
    undo = keras_snare.shrink(model, PLAN)
    assert model.train_function is not None
    assert model.train_function is not train_function
    assert model.test_function is None
    train(model, 1)
    undo.restore()
    assert model.train_function is train_function
    assert model.test_function is test_function
    traced = []
    call = type(model).compute_loss
    model.compute_loss = lambda *args, **kwargs: traced.append(1) or call(model, *args, **kwargs)
    train(model, 1)
    assert traced == []


@pytest.mark.parametrize("optimizer", ["adam", "adafactor"])
def test_restore_returns_a_second_time(optimizer):
    model = compiled(optimizer=OPTIMIZERS[optimizer]())
    before = state_of(model)
    undo = keras_snare.shrink(model, PLAN)
    for _ in range(2):
        train(model)
        undo.restore()
        assert_same_state(state_of(model), before)
    keras_snare.shrink(model, {"inner": [0]})
    undo.restore()
    assert_same_state(state_of(model), before)


def test_restore_goes_back_over_several_cuts():
    model = compiled()
    states, undos = [], []
    for plan in (PLAN, {"inner": [0]}, {"stem": [1], "branch": [1]}):
        states.append(state_of(model))
        undos.append(keras_snare.shrink(model, plan))
        train(model)
    undos[1].restore()
    assert_same_state(state_of(model), states[1])
    undos[0].restore()
    assert_same_state(state_of(model), states[0])


def test_snapshot_alone_undoes_training():
    model = compiled()
    before = state_of(model)
    snapshot = take_snapshot(model)
    train(model)
    assert state_of(model)["values"] != before["values"]
    snapshot.restore()
    assert_same_state(state_of(model), before)


def test_restore_of_a_sequential_model_that_grew_layer_by_layer():
    model = compiled("incremental")
    before = state_of(model)
    undo = keras_snare.shrink(model, {"conv": [0, 2], "hidden": [1]})
    train(model)
    undo.restore()
    assert_same_state(state_of(model), before)


@pytest.mark.parametrize("calls", [0, 1, 2, 5, 11, 20])
def test_exception_in_the_middle_leaves_the_model_as_it_was(calls, monkeypatch):
    model = compiled()
    before = state_of(model)
    resize, done = variables.resize, []

    def failing(*args):
        if len(done) == calls:
            raise MemoryError("in the middle")
        done.append(1)
        resize(*args)

    monkeypatch.setattr(variables, "resize", failing)
    with pytest.raises(MemoryError, match="in the middle"):
        keras_snare.shrink(model, PLAN)
    assert len(done) == calls
    assert_same_state(state_of(model), before)
    monkeypatch.undo()
    train(model)


@pytest.mark.parametrize("name", ["set_tensor_shape", "set_build_shapes", "rebuilt_shapes"])
@pytest.mark.parametrize("calls", [0, 3])
def test_exception_while_shapes_change_leaves_the_model_as_it_was(name, calls, monkeypatch):
    model = compiled()
    before = state_of(model)
    work, done = getattr(variables, name), []

    def failing(*args):
        done.append(1)
        if len(done) == calls + 1:
            raise KeyboardInterrupt
        return work(*args)

    monkeypatch.setattr(variables, name, failing)
    with pytest.raises(KeyboardInterrupt):
        keras_snare.shrink(model, PLAN)
    assert_same_state(state_of(model), before)


def test_exception_within_a_variable_leaves_its_shape(monkeypatch):
    model = compiled()
    before = state_of(model)

    def failing(*_args):
        raise MemoryError("no room")

    monkeypatch.setattr(keras.Variable, "_initialize", failing)
    with pytest.raises(MemoryError, match="no room"):
        keras_snare.shrink(model, PLAN)
    assert_same_state(state_of(model), before)


def test_exception_while_the_step_is_made_leaves_the_model_as_it_was():
    model = compiled()
    before = state_of(model)

    def failing(*_args):
        raise RuntimeError("no step")

    model.make_train_function = failing
    with pytest.raises(RuntimeError, match="no step"):
        keras_snare.shrink(model, PLAN)
    assert_same_state(state_of(model), before)


def test_steps_of_models_inside_are_dropped_and_come_back():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, "tanh", name="cut")])
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    before = inner.predict(x, verbose=0)
    undo = keras_snare.shrink(model, {f"{inner.name}/cut": [0, 2, 5]})
    np.testing.assert_allclose(inner.predict(x, verbose=0), before[:, [0, 2, 5]], atol=1e-6)
    undo.restore()
    np.testing.assert_array_equal(inner.predict(x, verbose=0), before)
