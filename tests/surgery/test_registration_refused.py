"""`register_layer` refuses what is no declaration, and registers nothing then."""

import keras
import pytest

import keras_snare
from keras_snare import register_layer
from keras_snare.graph.rules import RULES
from keras_snare.surgery.attributes import ATTRIBUTES


class Own(keras.layers.Layer):
    """A layer with a kernel."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 3), name="kernel")

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)


@pytest.mark.parametrize("name", ["reads", "makes", "keeps"])
@pytest.mark.parametrize(
    "declared",
    [3, "kernel", ["kernel"], {"kernel": "0"}, {"kernel": 1.5}, {"kernel": True}, {0: "kernel"}],
    ids=str,
)
def test_weights_are_named_with_an_axis(name, declared):
    message = rf"`{name}` is a mapping .* such as \{{'kernel': 0\}}\. Received: {name}="
    with pytest.raises(TypeError, match=message):
        register_layer(Own, **{"makes": {"kernel": 1}, name: declared})
    assert Own not in {**RULES, **ATTRIBUTES}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 3}, "`width` is the name of an attribute, or None. Received: width=3"),
        ({"width": ""}, "Received: width=''"),
        ({"width": True}, "Received: width=True"),
        ({"axis": None}, "`axis` is an integer, .* Received: axis=None"),
        ({"axis": 1.0}, "Received: axis=1.0"),
        ({"axis": True}, "Received: axis=True"),
        ({"axis": 0}, "not 0, that of the examples. Received: axis=0"),
    ],
    ids=str,
)
def test_width_and_axis(wrong, message):
    with pytest.raises(TypeError, match=message):
        register_layer(Own, makes={"kernel": 1}, **wrong)
    assert Own not in {**RULES, **ATTRIBUTES}


@pytest.mark.parametrize("axis", [2, 7, -2, -3])
def test_an_axis_that_the_layers_input_does_not_have(axis, monkeypatch):
    for table in (RULES, ATTRIBUTES):
        monkeypatch.setitem(table, Own, None)
    register_layer(Own, reads={"kernel": 0}, makes={"kernel": 1}, axis=axis)
    model = keras.Sequential([keras.Input((4,)), Own(), keras.layers.Dense(2)])
    message = r"register_layer was told of Own: see .*'axis'.* input has the shape \(None, 4\)"
    with pytest.raises(keras_snare.UnsupportedModelError, match=message):
        keras_snare.channel_groups(model)
