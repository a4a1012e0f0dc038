"""Quantization-aware training by tf_keras's own `fit`, also on another backend of Keras."""

import os
import subprocess
import sys

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import keras_snare
from keras_snare.quantize import training
from keras_snare.quantize.calibration import calibrate
from keras_snare.quantize.compiling import compile_like
from keras_snare.quantize.environment import tf_mot
from keras_snare.quantize.interpreter import interpreter_of

layers = keras.layers
RANDOM = np.random.default_rng(0)
Y = RANDOM.integers(0, 3, 40)
X = (RANDOM.random((40, 6, 6, 1)) * 0.5 + 0.3 * Y[:, None, None, None]).astype("float32")
LOSS = "sparse_categorical_crossentropy"


def network():
    keras.utils.set_random_seed(0)
    return models.chain(
        (6, 6, 1),
        layers.Conv2D(4, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(momentum=0.8, name="norm"),
        layers.ReLU(name="relu"),
        layers.Flatten(name="flat"),
        layers.Dense(3, "softmax", name="out"),
    )


def compiled(**settings):
    model = network()
    model.compile(**{"optimizer": "adam", "loss": LOSS, "metrics": ["accuracy"], **settings})
    return model


class Batches(keras.utils.PyDataset):
    @property
    def num_batches(self):
        return 5

    def __getitem__(self, at):
        return X[8 * at : 8 * at + 8], Y[8 * at : 8 * at + 8]


KINDS = {
    "arrays": lambda: (X, Y),
    "weighted": lambda: (X, Y, np.ones(40, "float32")),
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(8),
    "PyDataset": Batches,
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "arrays")) for name in KINDS],
)
def test_training_ends_in_the_model_and_in_a_file_of_integers(kind, tmp_path):
    model, data, path = compiled(), KINDS[kind](), tmp_path / "model.tflite"
    model.fit(X, Y, batch_size=8, epochs=10, verbose=0)
    begun, loss = model.get_weights(), model.evaluate(X, Y, verbose=0)[0]
    variables = model.variables
    quantized = keras_snare.quantize_aware_train(
        model, data, epochs=3, batch_size=8, validation_data=data, path=path, verbose=0
    )
    history = quantized.history.history
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} == set(history)
    assert len(history["loss"]) == 3
    assert model.evaluate(X, Y, verbose=0)[0] < loss
    assert all(one is other for one, other in zip(model.variables, variables, strict=True))
    for before, after in zip(begun, model.get_weights(), strict=True):
        assert not np.array_equal(before, after)
    answers = quantized(X, training=False).numpy()
    np.testing.assert_allclose(model.predict(X, verbose=0), answers, atol=0.1)

    interpreter = interpreter_of(path.read_bytes())
    assert {one["dtype"] for one in interpreter.get_tensor_details()} <= {np.int8, np.int32}
    (start,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = start["quantization"]
    for image, answer in zip(X, answers, strict=True):
        given = np.clip(np.round(image[None] / scale + zero), -128, 127).astype("int8")
        interpreter.set_tensor(start["index"], given)
        interpreter.invoke()
        found = (interpreter.get_tensor(end["index"])[0].astype(int) + 128) / 256
        assert np.abs(found - answer).max() < 0.03


def test_steps_are_those_of_tf_mot():
    model = compiled(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    twin = keras_snare.quantize.to_tf_keras(model)
    theirs = tf_mot().quantization.keras.quantize_model(twin.model)
    calibrate(theirs, [[X[:32]], [X[32:]]])
    theirs.compile(tf_keras.optimizers.SGD(0.1, momentum=0.9), LOSS)
    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    losses = theirs.fit(batches, epochs=2, verbose=0).history["loss"]
    ours = keras_snare.quantize_aware_train(
        model, batches, epochs=2, path=None, representative_data=X, verbose=0, callbacks=None
    )
    np.testing.assert_allclose(ours.history.history["loss"], losses, rtol=1e-6)


@pytest.mark.slow
def test_several_inputs_and_outputs_by_name(tmp_path):
    left, right = keras.Input((3,), name="z"), keras.Input((4,), name="a")
    hidden = layers.Dense(4, "relu")(layers.Concatenate()([left, right]))
    outputs = {"two": layers.Dense(2, name="p")(hidden), "one": layers.Dense(1, name="q")(hidden)}
    model = keras.Model({"z": left, "a": right}, outputs)
    model.compile("sgd", {"one": "mse", "two": "mae"}, loss_weights={"one": 0.0, "two": 1.0})
    x = {"a": RANDOM.random((16, 4)), "z": RANDOM.random((16, 3))}
    y = {"two": RANDOM.random((16, 2)), "one": RANDOM.random((16, 1))}
    before = {name: model.get_layer(name).get_weights()[1].copy() for name in "pq"}
    path = tmp_path / "m.tflite"
    quantized = keras_snare.quantize_aware_train(model, (x, y), verbose=0, path=path)
    assert [len(quantized.inputs), len(quantized.outputs)] == [2, 2]
    after = {name: model.get_layer(name).get_weights()[1] for name in "pq"}
    assert np.array_equal(before["q"], after["q"])
    assert not np.array_equal(before["p"], after["p"])
    assert path.stat().st_size > 0


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ({"optimizer": keras.optimizers.RMSprop(0.5, rho=0.8, clipnorm=2.0)}, "RMSprop"),
        (
            {
                "optimizer": keras.optimizers.AdamW(
                    keras.optimizers.schedules.CosineDecay(0.5, 9), weight_decay=0.1
                )
            },
            "AdamW",
        ),
    ],
)
def test_optimizer_is_carried_over_with_its_settings(stated, kind):
    model = compiled(
        loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=2),
        metrics=[keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top")],
        **stated,
    )
    twin = keras_snare.quantize.to_tf_keras(model).model
    compile_like(model, twin)
    assert type(twin.optimizer) is getattr(tf_keras.optimizers, kind)
    rate = stated["optimizer"].learning_rate
    assert float(twin.optimizer.learning_rate) == pytest.approx(float(rate))
    for name in ("rho", "clipnorm", "weight_decay"):
        if hasattr(stated["optimizer"], name):
            assert getattr(twin.optimizer, name) == getattr(stated["optimizer"], name)
    found = twin.evaluate(X, Y, verbose=0, return_dict=True)
    assert found == pytest.approx(model.evaluate(X, Y, verbose=0, return_dict=True), abs=1e-5)


ENDLESS = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).repeat()


def generated():
    """Batches whose count nothing tells, without end."""

    def batches():
        while True:
            yield X[:8], Y[:8]

    kinds = tf.TensorSpec((8, 6, 6, 1), tf.float32), tf.TensorSpec((8,), tf.int64)
    return tf.data.Dataset.from_generator(batches, output_signature=kinds)


STEPS = {
    "endless": lambda: ENDLESS,
    "unknown": generated,
    "short": lambda: ENDLESS.take(3),
    "arrays": KINDS["arrays"],
    "PyDataset": Batches,
}


@pytest.mark.parametrize("kind", STEPS)
def test_steps_limit_an_epoch_whatever_the_data_are(kind):
    counts = {"train": 0, "test": 0}

    class Counts(tf_keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            counts["train"] += 1

        def on_test_batch_end(self, batch, logs=None):
            counts["test"] += 1

    data = STEPS[kind]()
    quantized = keras_snare.quantize_aware_train(
        compiled(),
        data,
        epochs=3,
        batch_size=8,
        steps_per_epoch=2,
        validation_data=data,
        validation_steps=1,
        callbacks=[Counts()],
        path=None,
        verbose=0,
    )
    assert counts == {"train": 6, "test": 3}
    assert len(quantized.history.history["val_loss"]) == 3


def own_loss(y, answers):
    return keras.ops.sum(answers, axis=-1)


@pytest.mark.parametrize(
    ("stated", "arguments", "error", "message"),
    [
        ({}, {"data": X}, TypeError, r"`data` is `\(x, y\)`.*Received: ndarray"),
        ({}, {"data": (X, Y[:3])}, ValueError, r"as many examples each.*\[3, 40\]"),
        ({}, {"data": (X[:0], Y[:0])}, ValueError, r"one at least. Received: \[0\]"),
        ({}, {"data": ENDLESS}, ValueError, r"`data` is .*with an end.*Give steps_per_epoch, "),
        ({}, {"validation_data": ENDLESS}, ValueError, r"Give validation_steps, .*validation_data"),
        ({}, {"steps_per_epoch": 0}, ValueError, r"steps_per_epoch"),
        ({}, {"validation_steps": 1.5}, ValueError, r"validation_steps"),
        ({}, {"steps_per_epoch": 3}, ValueError, r"steps_per_epoch=3 .* 2 batches of `data`"),
        ({}, {"data": ENDLESS.take(0)}, ValueError, r"`data` .*at least one batch.*an empty one"),
        ({}, {"validation_data": [1]}, TypeError, r"`validation_data` is.*list"),
        ({}, {"epochs": 0}, ValueError, r"epochs"),
        ({}, {"batch_size": 2.5}, ValueError, r"batch_size"),
        ({}, {"output_type": "int4"}, ValueError, r"`output_type` is one of"),
        ({}, {"path": "no/such/m.tflite"}, NotADirectoryError, r"a folder that is there"),
        ({}, {"layers": "none"}, ValueError, r"name at least one layer"),
        ({"loss": own_loss}, {}, keras_snare.UnsupportedModelError, r"Give `loss` of tf_keras"),
        (
            {"optimizer": keras.optimizers.Lamb()},
            {},
            keras_snare.UnsupportedModelError,
            r"Lamb.*Give `optimizer` of tf_keras",
        ),
        (None, {}, keras_snare.UnsupportedModelError, r"which is not compiled"),
    ],
)
def test_wrong_use_leaves_the_model_alone(stated, arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = network() if stated is None else compiled(**stated)
    before = model.get_weights()
    arguments = {"data": (X, Y), **arguments}
    with pytest.raises(error, match=message):
        keras_snare.quantize_aware_train(model, **arguments)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert list(tmp_path.iterdir()) == []


def test_interrupted_training_leaves_the_model_alone(tmp_path):
    class Stops(tf_keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model, path = compiled(), tmp_path / "m.tflite"
    before = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        keras_snare.quantize_aware_train(model, (X, Y), callbacks=[Stops()], path=path, verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert not path.exists()


def test_file_that_is_refused_does_not_cost_the_training(tmp_path, monkeypatch):
    def once(*_, **__):
        if calls:
            raise keras_snare.UnsupportedModelError("no file")
        calls.append(1)

    calls = []
    monkeypatch.setattr(training, "integer_file", once)
    model = compiled()
    before = model.get_weights()
    with pytest.raises(keras_snare.UnsupportedModelError, match="no file"):
        keras_snare.quantize_aware_train(model, (X, Y), path=tmp_path / "m.tflite", verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_model_of_another_backend(tmp_path):
    program = f"""
import keras, numpy as np, keras_snare
assert keras.backend.backend() == "jax"
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, "relu"), keras.layers.Dense(1)])
x = np.random.default_rng(0).random((64, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
model.compile(keras.optimizers.Adam(0.01), "mse")
model.fit(x, y, verbose=0)
before = np.mean((model.predict(x, verbose=0) - y) ** 2)
path = {str(tmp_path / "m.tflite")!r}
keras_snare.quantize_aware_train(model, (x, y), epochs=20, path=path, verbose=0)
assert np.mean((model.predict(x, verbose=0) - y) ** 2) < 0.9 * before
model.fit(x, y, verbose=0)
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.tflite").stat().st_size > 0


@pytest.mark.slow
def test_objects_of_keras_3_are_carried_over(tmp_path):
    model = compiled()
    quantized = keras_snare.quantize_aware_train(
        model,
        (X, Y),
        optimizer=keras.optimizers.SGD(0.05, momentum=0.5),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy("right"), "accuracy"],
        path=tmp_path / "model.tflite",
        verbose=0,
    )
    assert isinstance(quantized.optimizer, tf_keras.optimizers.SGD)
    assert float(quantized.optimizer.learning_rate) == pytest.approx(0.05)
    assert {"right", "accuracy", "loss"} <= set(quantized.history.history)
