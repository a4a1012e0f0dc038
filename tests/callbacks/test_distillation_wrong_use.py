"""Every mistake is told before the first step of training, and changes nothing."""

import keras
import numpy as np
import pytest
from fitting import Spy, digit_model, leftovers, short_fit
from training import compiled, dense_model, flat_digits, same, state_of

from keras_snare import DistillationCallback, UnsupportedModelError

layers = keras.layers
MODEL = dense_model(64, (9,), 10)


@pytest.mark.parametrize(
    ("teacher", "options", "error", "message"),
    [
        ("teacher", {}, TypeError, "`teacher` is a Keras 3 model, .* Received: teacher='teacher'"),
        (None, {}, TypeError, "Received: teacher=None"),
        ([], {}, TypeError, r"Received: teacher=\[\]"),
        ([MODEL, "self"], {}, TypeError, "The teachers of an ensemble are .* Received: builtins.s"),
        (MODEL, {"temperature": 0}, ValueError, "`temperature` is a number greater than 0. Recei"),
        (MODEL, {"temperature": "3"}, ValueError, "Received: temperature='3'"),
        (MODEL, {"temperature": np.inf}, ValueError, "Received: temperature=inf"),
        (MODEL, {"alpha": 1.1}, ValueError, "`alpha` is the share .* Received: alpha=1.1"),
        (MODEL, {"alpha": -0.1}, ValueError, "Received: alpha=-0.1"),
        (MODEL, {"alpha": True}, ValueError, "Received: alpha=True"),
        (MODEL, {"outputs": "softmax"}, ValueError, "`outputs` is 'auto' or one of 'logits', 'pr"),
        (MODEL, {"teacher_outputs": ["logit"]}, ValueError, r"Received: teacher_outputs=\['logit"),
        (MODEL, {"output_weights": [1, -1]}, ValueError, "`output_weights` are .* Received: outp"),
        (MODEL, {"features": "conv"}, ValueError, "`features` names layers .* Received: features="),
        (MODEL, {"features": [("a",)]}, ValueError, r"Received: features=\[\('a',\)\]"),
        (MODEL, {"features": {}}, ValueError, "Received: features={}"),
        (
            MODEL,
            {"features": {"a": "b"}, "feature_weights": [1, 2]},
            ValueError,
            r"`feature_weights` is .* Received: feature_weights=\[1, 2\] for 1 pairs",
        ),
        (MODEL, {"feature_weights": -1}, ValueError, "Received: feature_weights=-1"),
        (MODEL, {"projection": "random"}, ValueError, "`projection` is 'learned' or 'fixed'. Rec"),
        (MODEL, {"seed": -1}, ValueError, "`seed` is an integer, 0 or more. Received: seed=-1"),
        ("self", {"start_epoch": 1.5}, ValueError, "`start_epoch` is .* Received: start_epoch=1.5"),
        (MODEL, {"start_epoch": 1}, ValueError, "`start_epoch` says when teacher='self' is copie"),
        ([MODEL], {"features": {"a": "b"}}, ValueError, "`features` come from one teacher that is"),
        ("targets", {"features": {"a": "b"}}, ValueError, "Received: teacher='targets'. Leave"),
    ],
)
def test_arguments(teacher, options, error, message):
    with pytest.raises(error, match=message):
        DistillationCallback(teacher, **options)


def test_numpy_numbers_are_numbers():
    options = {"temperature": np.float32(2), "alpha": np.float64(0.5), "seed": np.int64(3)}
    callback = DistillationCallback("self", start_epoch=np.int32(0), **options)
    assert callback.temperature == 2


def _unbuilt():
    return keras.Sequential([layers.Dense(9), layers.Dense(10, "softmax")])


def _sharing(model):
    hidden = model.layers[0](model.inputs[0])
    return keras.Model(model.inputs, layers.Dense(10, "softmax")(hidden))


TEACHERS = {
    "unbuilt": (_unbuilt, {}, UnsupportedModelError, "Teacher .* is not built. Give it a keras.In"),
    "classes": (
        lambda: dense_model(64, (9,), 7),
        {},
        ValueError,
        "The outputs of a teacher have the shapes of the model's. Received: .*7",
    ),
    "inputs": (lambda: dense_model(32, (9,), 10), {}, ValueError, "The inputs of a teacher have"),
    "kind": (
        lambda: keras.Sequential([keras.Input((64,)), layers.Dense(10, "sigmoid")]),
        {},
        ValueError,
        "Output 0 of the model holds probabilities, and what teacher .* Received: binary_probabil",
    ),
    "form": (lambda: "targets", {}, ValueError, "has to be told what the answers .* 'logits', 'p"),
    "layer": (
        lambda: dense_model(64, (9,), 10),
        {"features": {"hidden2": "hidden2"}},
        ValueError,
        "Received: 'hidden2', called 0 times. There are: hidden1, digit",
    ),
    "weights": (
        lambda: dense_model(64, (9,), 10),
        {"output_weights": [1, 2]},
        ValueError,
        "`output_weights` has one entry per output.* for 1 output",
    ),
}


def _refused(model, callback, error, message):
    model.optimizer.build(model.trainable_variables)
    before, spy = state_of(model), Spy()
    with pytest.raises(error, match=message):
        short_fit(model, [spy, callback])
    assert spy.states == []
    assert same(state_of(model), before)
    assert leftovers(model) == []


@pytest.mark.parametrize(("make", "options", "error", "message"), TEACHERS.values(), ids=TEACHERS)
def test_teachers(make, options, error, message):
    callback = DistillationCallback(make(), **options)
    _refused(digit_model(run_eagerly=True), callback, error, message)


def test_a_teacher_that_shares_weights():
    model = digit_model(run_eagerly=True)
    for teacher in (model, _sharing(model)):
        message = "shares no weights with the model in training. Received: teacher .*, which shares"
        _refused(model, DistillationCallback(teacher), ValueError, message)


def test_one_at_a_time():
    model, spy = digit_model(run_eagerly=True), Spy()
    both = [DistillationCallback(MODEL), DistillationCallback("self")]
    with pytest.raises(ValueError, match="One DistillationCallback teaches .* Received: 2 of them"):
        short_fit(model, [spy, *both])
    assert spy.states == []
    assert leftovers(model) == []


def test_targets_that_are_no_pairs():
    callback = DistillationCallback("targets", teacher_outputs="logits")
    message = r"takes the targets of fit for pairs: fit\(x, \(y, answers\)\).* Received targets"
    _refused(digit_model(run_eagerly=True), callback, ValueError, message)


def test_answers_for_other_classes():
    model = digit_model(run_eagerly=True)
    (x, y), _ = flat_digits(40, 10)
    callback = DistillationCallback("targets", teacher_outputs="logits")
    message = "What the answers in the targets say has .* Received: .*32, 9.* for outputs .*32, 10"
    with pytest.raises(ValueError, match=message):
        model.fit(x, (y, np.zeros((40, 9))), verbose=0, callbacks=[callback])
    assert leftovers(model) == []


def test_a_model_that_is_not_built():
    model = _unbuilt()
    compiled(model)
    (x, y), _ = flat_digits(40, 10)
    with pytest.raises(UnsupportedModelError, match="Model .* is not built. Call model.build"):
        model.fit(x, y, verbose=0, callbacks=[DistillationCallback(MODEL)])


class Unnamed(keras.Model):
    """A model that cannot be built again from its configuration."""

    def __init__(self, hidden):
        super().__init__()
        self.hidden, self.answer = hidden, layers.Dense(10, "softmax")

    def call(self, inputs):
        return self.answer(self.hidden(inputs))


def test_a_model_that_cannot_be_copied():
    model = Unnamed(layers.Dense(4))
    model(flat_digits(40, 10)[0][0])
    compiled(model, run_eagerly=True)
    message = (
        r"(?s)teacher='self' copies the model, and .* \(Unnamed\) cannot .* Give a model for the"
    )
    _refused(model, DistillationCallback("self", start_epoch=2), UnsupportedModelError, message)
