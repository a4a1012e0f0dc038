"""What a batch teaches, against figures worked out by hand."""

import keras
import numpy as np
import pytest
from distilling import (
    ANSWERS,
    DISTILLATION,
    DIVERGENCES,
    FOUND,
    LOSSES,
    SURE,
    TAUGHT,
    TEMPERATURE,
    identity,
    lesson,
)

layers = keras.layers


def _tensors(value):
    def tensor(one):
        return None if one is None else keras.ops.convert_to_tensor(one)

    return keras.tree.map_structure(tensor, value)


def _loss(model, teachers, found, taught=None, weights=None, x=None, **settings):
    one = lesson(model, teachers, **settings)
    return float(one.loss(x, *_tensors((taught, found, weights)), {}))


def _targets(form, found, taught, weights=None, dtype="float32", **settings):
    """The loss of answers that come with the targets, in some form."""
    found, taught = (ANSWERS[form](one.astype("float64")).astype(dtype) for one in (found, taught))
    model = identity(found.shape[-1], LOSSES[form])
    return _loss(model, "targets", found, taught, weights, teacher_outputs=form, **settings)


@pytest.mark.parametrize("form", ANSWERS)
def test_two_examples_by_hand(form):
    assert _targets(form, FOUND, TAUGHT) == pytest.approx(DISTILLATION, abs=1e-6)
    assert _targets(form, TAUGHT, TAUGHT) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("form", ANSWERS)
@pytest.mark.parametrize("weights", [np.array([1.0, 3.0]), np.array([[1.0], [3.0]])], ids=np.shape)
def test_examples_count_by_their_weights(form, weights):
    expected = TEMPERATURE**2 * (weights.ravel() * DIVERGENCES).sum() / 2
    found = _targets(form, FOUND, TAUGHT, weights.astype("float32"))
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_squared_temperature_keeps_the_size_of_the_gradient():
    """In the limit it is the mean squared difference of centred logits, by classes and half."""
    expected = np.square(FOUND - TAUGHT - (FOUND - TAUGHT).mean(-1, keepdims=True)).mean() / 2
    assert _targets("logits", FOUND, TAUGHT, temperature=100.0) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("dtype", "apart"), [("float32", 60.0), ("float16", 12.0)])
def test_small_probabilities_are_as_good_as_logits(dtype, apart):
    found = np.array([[0, -apart, -apart / 2]], "float32")
    taught = np.array([[0, -apart / 2, -apart]], "float32")
    expected = _targets("logits", found, taught, temperature=10.0)
    assert _targets("probabilities", found, taught, temperature=10.0, dtype=dtype) == pytest.approx(
        expected, rel=0.02 if dtype == "float16" else 1e-5
    )


def test_logits_may_teach_probabilities():
    model, taught = identity(2, LOSSES["probabilities"]), TAUGHT
    found = ANSWERS["probabilities"](FOUND)
    loss = _loss(model, "targets", found, taught, teacher_outputs="logits")
    assert loss == pytest.approx(DISTILLATION, abs=1e-6)


def test_values_are_compared_as_they_are():
    model = identity(2, LOSSES["values"])
    weights = np.array([1.0, 3.0], "float32")
    loss = _loss(model, "targets", FOUND, TAUGHT, weights)
    assert loss == pytest.approx((1 + 3) * SURE**2 / 2 / 2)


def _constant(*logits, activation=None):
    """A model that answers the same to everything, and drops out and normalises in training."""
    inputs = keras.Input((2,))
    hidden = layers.Dropout(0.5)(layers.BatchNormalization()(inputs))
    outputs = layers.Dense(
        2, activation, kernel_initializer="zeros", name="answer", bias_initializer="zeros"
    )(hidden)
    model = keras.Model(inputs, outputs)
    model.get_layer("answer").bias.assign(logits)
    return model


def test_of_an_ensemble_the_softened_probabilities_are_averaged():
    x = keras.ops.zeros((2, 2))
    teachers = [_constant(SURE, 0), _constant(0, SURE), _constant(0, 0, activation="softmax")]
    assert _loss(identity(), teachers, FOUND[:1].repeat(2, 0), x=x) == pytest.approx(0, abs=1e-6)
    # 3/4, 3/4 and 1/2 for the first class.
    teachers[1] = _constant(SURE, 0)
    found = np.array([[2 * np.log(2), 0]], "float32").repeat(2, 0)
    assert _loss(identity(), teachers, found, x=x) == pytest.approx(0, abs=1e-6)


def test_values_of_an_ensemble_are_averaged():
    x, teachers = keras.ops.zeros((1, 2)), [_constant(1, 4), _constant(3, 0)]
    found = np.array([[2, 5]], "float32")
    loss = _loss(identity(loss="mse"), teachers, found, x=x)
    assert loss == pytest.approx(3**2 / 2)


def _two_outputs(structure, **options):
    inputs = keras.Input((2,))
    outputs = {name: layers.Dense(2, name=name)(inputs) for name in ("b", "a")}
    model = keras.Model(inputs, outputs if structure is dict else list(outputs.values()))
    model.compile("sgd", LOSSES["logits"], **options)
    return model


@pytest.mark.parametrize(
    ("structure", "settings", "factors"),
    [
        (list, {}, (1, 1)),
        (list, {"output_weights": [0.5, 2]}, (0.5, 2)),
        (list, {"output_weights": {"a": 2, "b": 0.5}}, (0.5, 2)),
        (dict, {"output_weights": {"a": 2, "b": 0.5}}, (0.5, 2)),
        (dict, {"output_weights": 3}, (3, 3)),
        (dict, {"output_weights": {"a": 0, "b": 1}}, (1, 0)),
        (dict, {"compile": {"loss_weights": {"b": 0.25, "a": 4.0}}}, (0.25, 4)),
        (list, {"compile": {"loss_weights": [0.25, 4.0]}}, (0.25, 4)),
    ],
    ids="plain list names dict one none compiled_dict compiled_list".split(),
)
def test_several_outputs_by_structure(structure, settings, factors):
    model = _two_outputs(structure, **settings.pop("compile", {}))
    found, taught = ({"b": one, "a": other} for one, other in ((FOUND, FOUND), (TAUGHT, FOUND + 1)))
    taught["a"] = TAUGHT[::-1].copy()
    parts = [
        _targets("logits", found[name], taught[name], None if at else np.array([1.0, 3.0], "f4"))
        for at, name in enumerate("ba")
    ]
    weights = {"b": np.array([1.0, 3.0], "float32"), "a": None}
    if structure is list:
        found, taught, weights = (list(one.values()) for one in (found, taught, weights))
    loss = _loss(model, "targets", found, taught, weights, teacher_outputs="logits", **settings)
    assert loss == pytest.approx(sum(np.multiply(parts, factors)), rel=1e-6)


@pytest.mark.parametrize("form", ["probabilities", "binary_probabilities"])
def test_masked_positions_do_not_count(form):
    inputs = keras.Input((3,), dtype="int32")
    hidden = layers.Embedding(5, 4, mask_zero=True)(inputs)
    outputs = layers.Dense(2, "softmax" if form == "probabilities" else "sigmoid")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", LOSSES[form])
    x = np.array([[1, 2, 0], [3, 0, 0]])
    taught = np.random.default_rng(0).dirichlet([1, 1], (2, 3)).astype("float32")
    one = lesson(model, "targets", teacher_outputs=form)
    found = model(x)
    loss = one.loss(None, keras.ops.convert_to_tensor(taught), found, None, {})
    taught, found = _tensors((taught[x > 0], found.numpy()[x > 0]))
    expected = one.loss(None, taught, found, None, {})
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
