"""What outputs are, found from the last layer and the loss, or refused."""

import keras
import pytest

from keras_snare.distillation.forms import model_forms, target_forms, teacher_forms
from keras_snare.distillation.outputs import Outputs

layers, losses = keras.layers, keras.losses


def _model(*last, loss=None, units=3):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units, name="made"), *last])
    if loss is not None:
        model.compile("sgd", loss)
    return model


def _own(y_true, y_pred):
    return keras.ops.mean(y_pred - y_true)


FOUND = {
    "softmax": ([layers.Dense(3, "softmax")], _own, "probabilities"),
    "softmax_layer": ([layers.Softmax()], _own, "probabilities"),
    "activation_layer": ([layers.Activation("softmax", dtype="float32")], _own, "probabilities"),
    "linear_behind": ([layers.Softmax(), layers.Activation("linear")], _own, "probabilities"),
    "log_softmax": ([layers.Activation("log_softmax")], _own, "logits"),
    "sigmoid": ([layers.Dense(3, "sigmoid")], "mse", "binary_probabilities"),
    "logits": ([], losses.CategoricalCrossentropy(from_logits=True), "logits"),
    "sparse": ([], losses.SparseCategoricalCrossentropy(from_logits=True), "logits"),
    "by_loss": ([layers.Lambda(keras.ops.softmax)], "categorical_crossentropy", "probabilities"),
    "reshaped": ([layers.Softmax(), layers.Reshape((3,))], "kl_divergence", "probabilities"),
    "binary": ([], losses.BinaryCrossentropy(from_logits=True), "binary_logits"),
    "hard_sigmoid": (
        [layers.Activation("hard_sigmoid")],
        "binary_crossentropy",
        "binary_probabilities",
    ),
    "values": ([], "mse", "values"),
    "huber": ([layers.ReLU()], losses.Huber(), "values"),
}


@pytest.mark.parametrize(("last", "loss", "form"), FOUND.values(), ids=FOUND)
def test_model(last, loss, form):
    assert model_forms(Outputs(_model(*last, loss=loss)), "auto") == [form]


def test_what_is_given_counts():
    outputs = Outputs(_model(layers.Softmax(), loss="mse"))
    assert model_forms(outputs, "values") == ["values"]


def test_a_model_that_cannot_be_told():
    with pytest.raises(ValueError, match="What output 0 of model .* Say what it is: 'logits', 'pr"):
        model_forms(Outputs(_model(loss=_own)), "auto")


@pytest.mark.parametrize(
    "loss", [{"one": "mse", "two": "binary_crossentropy"}, ["mse", None]], ids="names list".split()
)
def test_several_outputs(loss):
    inputs = keras.Input((4,))
    outputs = [layers.Dense(3, name="one")(inputs), layers.Dense(3, "sigmoid", name="two")(inputs)]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss)
    found = Outputs(model)
    assert model_forms(found, "auto") == ["values", "binary_probabilities"]
    assert model_forms(found, {"two": "values", "one": "auto"}) == ["values", "values"]
    for wrong in (["values"], {"one": "values"}, {"one": "values", "three": "values"}):
        with pytest.raises(ValueError, match="`outputs` has one entry per output.* named one, two"):
            model_forms(found, wrong)


@pytest.mark.parametrize(
    ("last", "loss", "taught", "form"),
    [
        ([], None, "probabilities", "logits"),
        ([], "mse", "probabilities", "logits"),
        ([], None, "binary_probabilities", "binary_logits"),
        ([layers.ReLU()], None, "values", "values"),
        ([layers.Softmax()], None, "logits", "probabilities"),
        ([layers.Softmax(), layers.Reshape((3,))], "kl_divergence", "logits", "probabilities"),
    ],
)
def test_teacher(last, loss, taught, form):
    assert teacher_forms(Outputs(_model(*last, loss=loss)), "auto", [taught]) == [form]


@pytest.mark.parametrize(
    ("last", "given", "message"),
    [
        ([layers.ReLU()], "auto", "Received: what cannot be told. Say what both are"),
        ([layers.Activation("sigmoid")], "auto", "Received: binary_probabilities"),
        ([], "values", "holds logits, and what teacher .* Received: values"),
    ],
)
def test_a_teacher_of_another_kind(last, given, message):
    with pytest.raises(ValueError, match=message):
        teacher_forms(Outputs(_model(*last)), given, ["logits"])


def test_answers_in_the_targets_have_to_be_told():
    outputs = Outputs(_model(loss="mse"))
    assert target_forms(outputs, "auto", ["values"]) == ["values"]
    assert target_forms(outputs, "logits", ["probabilities"]) == ["logits"]
    for given in ("auto", "binary_logits"):
        with pytest.raises(ValueError, match=f"Received: .*'{given}'. Say .*: 'logits', 'probab"):
            target_forms(outputs, given, ["probabilities"])
