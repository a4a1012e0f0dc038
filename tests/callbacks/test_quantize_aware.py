"""Quantization-aware training in one `fit`: what it trains, leaves behind, and writes."""

import os

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import keras_snare
from keras_snare import QuantizeAwareCallback
from keras_snare.callbacks import quantize_aware, quantize_run
from keras_snare.quantize import to_tf_keras
from keras_snare.quantize.calibration import calibrate
from keras_snare.quantize.engines import ENGINES
from keras_snare.quantize.environment import tf_mot
from keras_snare.quantize.interpreter import interpreter_of

layers = keras.layers
LOSS = "sparse_categorical_crossentropy"
each_engine = pytest.mark.parametrize("engine", ENGINES)


def network(*more):
    return models.chain(
        (6, 6, 1),
        layers.Conv2D(4, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(momentum=0.8, name="norm"),
        layers.ReLU(name="relu"),
        *more,
        layers.Flatten(name="flat"),
        layers.Dense(5, "relu", name="hidden"),
        layers.Dense(3, "softmax", name="out"),
    )


def compiled(model=None, optimizer="sgd", **settings):
    model = network() if model is None else model
    model.compile(optimizer, LOSS, metrics=["accuracy"], **settings)
    return model


def data(count=40):
    random = np.random.default_rng(0)
    y = random.integers(0, 3, count)
    x = random.random((count, 6, 6, 1)) * 0.5 + 0.3 * y[:, None, None, None]
    return x.astype("float32"), y


def assert_plain(model):
    """Nothing of ours is on a model, which computes in float and trains on."""
    assert not {"call", "evaluate", "train_step"} & set(vars(model))
    assert "apply" not in vars(model.optimizer)
    x, y = data()
    twin = to_tf_keras(model).model
    np.testing.assert_allclose(model.predict(x, verbose=0), twin(x), atol=1e-5)
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])


def named(quantized):
    """The weights of a quantized network by the name of their layer in the model and their own."""
    names = (getattr(one, "path", one.name) for one in quantized.weights)
    names = (name.removesuffix(":0").removeprefix("quant_") for name in names)
    return dict(zip(names, map(np.asarray, quantized.weights), strict=True))


def outputs_of(path, x):
    """What a file computes, example by example, and the quantum of its output."""
    interpreter = interpreter_of(path.read_bytes())
    (start,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    results = []
    for one in x:
        interpreter.set_tensor(start["index"], _as_integers(one[None], start))
        interpreter.invoke()
        results.append(_as_floats(interpreter.get_tensor(end["index"]), end))
    kinds = [one["dtype"].__name__ for one in (start, end)]
    return np.concatenate(results), kinds, interpreter.get_tensor_details()


def _as_integers(values, detail):
    scale, zero = detail["quantization"]
    if not scale:
        return values
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(detail["dtype"])


def _as_floats(values, detail):
    scale, zero = detail["quantization"]
    return (values.astype("float32") - zero) * scale if scale else values


@each_engine
def test_one_fit_from_float_to_a_file_of_integers(engine, tmp_path):
    model, (x, y), path = compiled(optimizer="adam"), data(), tmp_path / "model.tflite"
    keras_snare.prune(model, 0.25, criterion="l1_in", layers="conv")
    variables, begun = model.variables, model.get_weights()
    quantize = QuantizeAwareCallback(1, path=path, engine=engine)
    stopper = keras.callbacks.EarlyStopping("loss", patience=9)
    history = model.fit(
        x,
        y,
        batch_size=8,
        epochs=3,
        verbose=0,
        validation_data=(x, y),
        callbacks=[stopper, quantize],
    ).history

    assert history.keys() == {"loss", "accuracy", "val_loss", "val_accuracy", "quantized"}
    assert history["quantized"] == [0, 1, 1]
    quantized = quantize.quantized_model
    # The validation was that of the quantized network.
    answers = quantized(x, training=False).numpy()
    assert history["val_loss"][-1] == pytest.approx(
        -np.log(answers[np.arange(len(y)), y]).mean(), abs=1e-5
    )
    # The weights came back into the same variables, with the statistics of the normalisation.
    assert all(one is other for one, other in zip(model.variables, variables, strict=True))
    trained = model.get_weights()
    assert all(not np.array_equal(*pair) for pair in zip(begun, trained, strict=True))
    theirs = named(quantized)
    for pair in to_tf_keras(model).pairs:
        np.testing.assert_array_equal(theirs[pair.name.removesuffix(":0")], pair.variable.value)
    assert_plain(model)
    np.testing.assert_array_equal(quantized(x, training=False), answers)

    found, kinds, tensors = outputs_of(path, x)
    assert kinds == ["int8", "int8"]
    assert {one["dtype"] for one in tensors} <= {np.int8, np.int32}
    # LiteRT rounds the softmax to 256 steps, training does not.
    assert np.abs(found - answers).max() <= 2 / 256
    assert [one.name for one in tmp_path.iterdir()] == ["model.tflite"]


def test_steps_are_those_of_tf_mot():
    (x, y), model = data(), compiled(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    twin = to_tf_keras(model)
    theirs = tf_mot().quantization.keras.quantize_model(twin.model)
    calibrate(theirs, [[x[:32]], [x[32:]]])
    theirs.compile(tf_keras.optimizers.SGD(0.1, momentum=0.9), LOSS)
    losses = theirs.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]

    quantize = QuantizeAwareCallback(0, path=None, representative_data=x)
    ours = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[quantize])
    np.testing.assert_allclose(ours.history["loss"], losses, rtol=1e-4)
    found = {one.name: np.asarray(one) for one in quantize.quantized_model.weights}
    assert any(
        "quantize_layer" in name and abs(one - x.max()) < 0.01 for name, one in found.items()
    )
    assert len(found) == len(theirs.weights)
    for one in theirs.weights:
        if not one.name.startswith("quantize_layer"):
            np.testing.assert_allclose(found[one.name], one, atol=1e-4, err_msg=one.name)


@each_engine
def test_pruned_connections_stay_zeros_in_the_file(engine, tmp_path):
    model, (x, y), path = compiled(), data(), tmp_path / "sparse.tflite"
    masks = keras_snare.sparsify(model, 0.5)
    settings = {"layers": "hidden", "input_type": "float32", "engine": engine}
    calls = [
        QuantizeAwareCallback(epochs=1, path=path, **settings),
        keras_snare.HoldMasksCallback(masks),
    ]
    model.fit(x, y, epochs=2, verbose=0, callbacks=calls)
    for kernel in masks.kernels(model):
        assert not np.any(np.asarray(kernel.variable.value)[~masks[kernel.name]])
    wrapped = {one.name for one in calls[0].quantized_model.layers}
    assert {"conv", "norm", "out", "quant_hidden"} <= wrapped

    found, kinds, tensors = outputs_of(path, x)
    assert kinds == ["float32", "int8"]
    assert np.abs(found - calls[0].quantized_model(x, training=False)).max() < 0.05
    interpreter = interpreter_of(path.read_bytes())
    shape = (5, 64)
    (kernel,) = [one for one in tensors if tuple(one["shape"]) == shape]
    values = interpreter.get_tensor(kernel["index"])
    assert not values[~masks["hidden/kernel"].T].any()
    assert np.abs(values).max() == 127


class Stops(keras.callbacks.Callback):
    def __init__(self, hook):
        super().__init__()
        setattr(self, hook, lambda at=1, logs=None: self.stop(at))

    def stop(self, at):
        if at in (1, None) or isinstance(at, dict):
            raise KeyboardInterrupt


@each_engine
@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_test_batch_end", "on_train_end"])
def test_exception_leaves_a_plain_model_as_it_was_trained(hook, engine, tmp_path, monkeypatch):
    model, (x, y), path = compiled(), data(), tmp_path / "model.tflite"
    path.write_bytes(b"before")
    monkeypatch.setattr(quantize_run, "integer_file", lambda *_, **__: b"tried")
    before, own = model.get_weights(), model.optimizer
    quantize = QuantizeAwareCallback(
        0, path=path, optimizer="adam", representative_data=x, engine=engine
    )
    settings = {"batch_size": 8, "epochs": 2, "verbose": 0, "validation_data": (x, y)}
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, callbacks=[Stops(hook), quantize], **settings)
    assert model.optimizer is own
    assert quantize.quantized_model is None
    assert path.read_bytes() == b"before"
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert_plain(model)


@pytest.mark.parametrize("engine", [pytest.param("tfmot", marks=pytest.mark.slow), "keras"])
def test_file_that_takes_pixels_as_they_are(engine, tmp_path):
    model, (x, y), path = compiled(optimizer="adam"), data(), tmp_path / "model.tflite"
    quantize = QuantizeAwareCallback(1, path=path, engine=engine, input_type="uint8")
    model.fit(x, y, epochs=3, verbose=0, callbacks=[quantize])
    found, kinds, _ = outputs_of(path, x)
    assert kinds == ["uint8", "int8"]
    np.testing.assert_allclose(found, quantize.quantized_model(x), atol=0.03)


@pytest.mark.slow
def test_file_that_cannot_be_written_does_not_cost_the_training(tmp_path, monkeypatch):
    model, (x, y), path = compiled(), data(), tmp_path / "model.tflite"
    monkeypatch.setattr(quantize_run, "integer_file", lambda *_, **__: b"tried")
    monkeypatch.setattr(quantize_aware, "integer_file", lambda *_, **__: b"whole")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    quantize = QuantizeAwareCallback(0, path=path, representative_data=[x])
    with pytest.raises(OSError, match="disk full"):
        model.fit(x, y, verbose=0, callbacks=[quantize])
    assert list(tmp_path.iterdir()) == []
    assert_plain(model)
    monkeypatch.undo()
    monkeypatch.setattr(quantize_aware, "integer_file", lambda *_, **__: b"whole")
    quantize.export(path)
    assert path.read_bytes() == b"whole"


@each_engine
def test_several_inputs_and_outputs_by_name(engine):
    def build():
        inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((4,), name="b")}
        sums = layers.Add(name="sum")([inputs["b"], layers.Dense(4, name="first")(inputs["a"])])
        outputs = {"y": layers.Dense(2, name="y")(sums), "z": layers.Dense(1, name="z")(sums)}
        return keras.Model(inputs, outputs)

    model, random = build(), np.random.default_rng(0)
    model.compile("adam", {"y": "mse", "z": "mae"}, steps_per_execution=2)
    x = {name: random.random((20, 4)).astype("float32") for name in "ba"}
    y = {"y": x["a"][:, :2], "z": x["b"][:, :1]}
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    # The largest loss is that of the first epoch that counts, so its weights come back.
    stopper = keras.callbacks.EarlyStopping(
        "loss", mode="max", patience=9, restore_best_weights=True, start_from_epoch=1
    )
    quantize = QuantizeAwareCallback(1, epochs=2, path=None, engine=engine)
    fitted = model.fit(batches, epochs=9, verbose=0, callbacks=[stopper, quantize])
    assert fitted.history["quantized"] == [0, 1, 1]
    there = quantize.quantized_model([x["a"], x["b"]], training=False)
    here = model.predict(x, verbose=0)
    for one, other in zip((here["y"], here["z"]), there, strict=True):
        assert 1e-6 < np.abs(one - other).mean() < 0.05
    limits = named(quantize.quantized_model)["first/kernel_max"]
    limit = np.abs(model.get_layer("first").kernel).max()
    np.testing.assert_allclose(limits.max(), limit, rtol=1e-6)


def residual():
    inputs = keras.Input((6, 6, 1))
    tensor = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    first = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.8)(tensor))
    tensor = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(first)
    tensor = layers.Activation("relu6")(layers.BatchNormalization(momentum=0.8)(tensor))
    tensor = layers.SeparableConv2D(6, 3, activation="silu")(layers.Add()([first, tensor]))
    tensor = layers.Concatenate()([tensor, layers.AveragePooling2D(3, 1)(first)])
    tensor = layers.Dense(6)(layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(tensor)))
    tensor = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(tensor))
    return keras.Model(inputs, layers.Dense(3, "softmax")(tensor))


def refused():
    """Layers and operators that TF-MOT has no configuration for."""
    inputs = keras.Input((6, 6, 1))
    tensor = layers.Conv2D(4, 3, activation="leaky_relu")(layers.Rescaling(2.0, -1.0)(inputs))
    tensor = layers.BatchNormalization(momentum=0.8)(tensor) * 2.0 + 0.5
    tensor = layers.Reshape((16, 4))(layers.Activation("hard_silu")(layers.PReLU()(tensor)))
    tensor = layers.MaxPooling1D(2)(layers.Conv1D(5, 3, activation="relu")(tensor))
    return keras.Model(inputs, layers.Dense(3, "softmax")(layers.Flatten()(tensor)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:TF-MOT does not round the kernels of conv1d:UserWarning")
@each_engine
@pytest.mark.parametrize(("build", "kind"), [(residual, "float32"), (refused, "uint8")])
def test_file_of_larger_networks(build, kind, engine, tmp_path):
    model, (x, y), path = compiled(build(), "adam"), data(200), tmp_path / "model.tflite"
    quantize = QuantizeAwareCallback(4, path=path, output_type=kind, engine=engine)
    model.fit(x, y, epochs=6, verbose=0, callbacks=[quantize])
    found, kinds, _ = outputs_of(path, x)
    assert kinds == ["int8", kind]
    assert np.abs(found - quantize.quantized_model(x)).mean() < 0.01
    assert np.abs(found - model.predict(x, verbose=0)).mean() < 0.05
