import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_snare
from keras_snare.comparison.sizes import keras_bytes
from keras_snare.comparison.timing import in_turn

SETTINGS = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}


def network(width=12, compiled=True):
    keras.utils.set_random_seed(width)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(width, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    if compiled:
        model.compile("adam", **SETTINGS)
    return model


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    return random.random((40, 8, 8, 1), "float32"), random.integers(0, 3, 40)


def variables(model):
    return [one.numpy() for one in [*model.variables, *model.optimizer.variables]]


@pytest.fixture(scope="module")
def compared(data):
    before, after = network(12), network(4)
    before.fit(*data, verbose=0)
    states = [variables(one) for one in (before, after)]
    return before, after, states, keras_snare.compare(before, after, data, repeats=5)


def test_the_figures_are_those_of_the_models(compared, data):
    before, after, _, report = compared
    for model, figures in ((before, report.before), (after, report.after)):
        cost = keras_snare.cost(model)
        assert (figures.params, figures.flops) == (cost.params, cost.flops)
        expected = model.evaluate(*data, verbose=0, return_dict=True)
        assert figures.metrics == pytest.approx(expected, rel=1e-6)


def test_the_models_stay_as_they_are(compared):
    before, after, states, _ = compared
    for model, state in zip((before, after), states, strict=True):
        for now, then in zip(variables(model), state, strict=True):
            np.testing.assert_array_equal(now, then)


def test_files_have_the_sizes_that_the_library_writes(compared, tmp_path):
    before, _, _, report = compared
    assert (
        report.before.bytes[".tflite"] == keras_snare.to_litert(before, tmp_path / "a.tflite").bytes
    )
    assert report.before.bytes[".snare"] == keras_snare.pack(before, tmp_path / "a.snare").bytes
    assert set(report.after.bytes) == {".keras", ".tflite", ".snare"}


def test_a_keras_file_counts_without_the_optimizer(data, tmp_path):
    plain, trained = network(64, compiled=False), network(64)
    trained.fit(*data, verbose=0)
    plain.save(tmp_path / "plain.keras")
    trained.save(tmp_path / "trained.keras")
    bare = (tmp_path / "plain.keras").stat().st_size
    assert (tmp_path / "trained.keras").stat().st_size > 1.5 * bare
    assert keras_bytes(trained) == pytest.approx(bare, rel=0.05)


def test_every_runtime_is_timed_and_told(compared):
    report = compared[-1]
    for figures in (report.before, report.after):
        assert set(figures.latency) == {"keras", "saved_model", "litert"}
        assert all(0 < one.low <= one.median <= one.high for one in figures.latency.values())
    text = str(report)
    assert "median of 5 runs in turn, 1 example(s) at a time; threads: LiteRT 1, TensorFlow" in text
    assert f"{report.before.params / report.after.params:.2f}" in text
    assert report.notes == ()


def test_json_holds_every_figure(compared):
    report = compared[-1]
    figures = json.loads(report.to_json())
    assert figures["after"]["bytes"] == report.after.bytes
    assert (
        figures["before"]["latency"]["litert"]["median"] == report.before.latency["litert"].median
    )
    assert figures["litert_threads"] == 1


def test_runs_take_turns_after_three_that_do_not_count():
    order = []
    found = in_turn([lambda: order.append("a"), lambda: order.append("b")], 4)
    assert "".join(order) == "aaabbb" + "ab" * 4
    assert len(found) == 2


@pytest.mark.parametrize("kind", ["dictionary", "mixed", "batch of its own"])
def test_other_kinds_of_models(kind):
    policy = "mixed_float16" if kind == "mixed" else None
    size = 4 if kind == "batch of its own" else None
    inputs = {name: keras.Input((6,), batch_size=size, name=name) for name in ("one", "two")}
    both = keras.layers.Concatenate()(list(inputs.values()))
    model = keras.Model(inputs, keras.layers.Dense(2, dtype=policy)(both))
    report = keras_snare.compare(model, model, batch_size=3, repeats=2)
    assert report.batch_size == (4 if size else 3)
    assert set(report.before.latency) == {"keras", "saved_model", "litert"}
    assert report.before.metrics == {}


def test_sample_weights_count(data):
    x, y = data
    model, weight = network(), (y == 0).astype("float32")
    report = keras_snare.compare(model, model, (x, y, weight), repeats=1)
    expected = model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
    assert report.before.metrics["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert report.before.metrics["loss"] < model.evaluate(x, y, verbose=0)[0]


def test_a_dataset_serves(data):
    model = network()
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8)
    report = keras_snare.compare(model, model, batches, repeats=1)
    assert report.before.metrics["accuracy"] == pytest.approx(model.evaluate(batches, verbose=0)[1])


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


def test_what_cannot_be_made_is_told_with_the_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    model = network()
    report = keras_snare.compare(model, model, repeats=1)
    assert set(report.before.bytes) == {".keras", ".tflite"}
    notes = [
        one for one in report.notes if one.startswith("A .snare file of `after` was not made: ")
    ]
    assert len(notes) == 1
    assert "keras-snare[codec]" in notes[0]
    assert notes[0] in str(report)


def test_a_model_that_no_file_holds_is_timed_all_the_same():
    model = Own()
    model(np.zeros((1, 4), "float32"))
    report = keras_snare.compare(model, model, repeats=1)
    assert set(report.after.latency) == {"keras", "saved_model", "litert"}
    assert any("A .snare file of `before`" in one for one in report.notes)


WRONG = {
    "no model": (
        lambda m, d: ("a.keras", m),
        {},
        TypeError,
        "`before` is a Keras 3 model. Received: str",
    ),
    "repeats": (lambda m, d: (m, m), {"repeats": 0}, ValueError, "`repeats` is an integer, 1 or"),
    "threads": (
        lambda m, d: (m, m),
        {"threads": True},
        ValueError,
        "`threads` is an integer, 1 or",
    ),
    "batch": (lambda m, d: (m, m), {"batch_size": 1.5}, ValueError, "`batch_size` is an integer"),
    "no labels": (lambda m, d: (m, m, (d[0],)), {}, ValueError, "`data` holds labels"),
    "shape": (lambda m, d: (m, m, (d[0][:, :4], d[1])), {}, ValueError, "of the model's inputs"),
    "endless": (
        lambda m, d: (m, m, tf.data.Dataset.from_tensor_slices(d).batch(4).repeat()),
        {},
        ValueError,
        "`data` has an end. Received: a .*Dataset without one",
    ),
    "not compiled": (
        lambda m, d: (m, network(compiled=False), d),
        {},
        ValueError,
        "`after` is compiled with the metrics",
    ),
    "other inputs": (
        lambda m, d: (m, keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])),
        {},
        ValueError,
        "two models with the same inputs",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_refused(name, data):
    given, settings, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        keras_snare.compare(*given(network(), data), **settings)
