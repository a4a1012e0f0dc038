"""Keras's own `model.quantize` on a model that was cut, and cuts of a model that was quantized."""

import keras
import numpy as np
import pytest

import keras_snare
from keras_snare.quantize.interpreter import interpreter_of

layers = keras.layers
IDS = np.random.default_rng(0).integers(0, 20, (32, 6))
MODES = ["int8", "int4", "float8", "gptq"]
MODES += ["awq"] if hasattr(keras.quantizers, "AWQConfig") else []
# Modes in which Keras makes floats of kernels in 4 bits before it multiplies.
IN_FLOAT = ["int4", "gptq", "awq"] if "awq" in MODES else ["gptq"]
# Keras says of every layer that it leaves as it is, such as pooling, that it does.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Layer \\w+ does not have a `quantize` method"),
    pytest.mark.filterwarnings("ignore:Invalid quantization mode"),
]


def network():
    """Of a form that GPTQ and AWQ know: an embedding, and blocks of what they round."""
    inputs = keras.Input((6,), dtype="int32")
    found = layers.Embedding(20, 8, name="tokens")(inputs)
    block = keras.Sequential(
        [
            keras.Input((6, 8)),
            layers.Dense(10, "relu", name="inner"),
            layers.Dense(7, "relu", name="hidden"),
            layers.Dense(3, name="out"),
        ],
        name="block",
    )
    return keras.Model(inputs, layers.GlobalAveragePooling1D(name="pool")(block(found)))


def quantize(model, mode):
    """Quantizes every layer that Keras quantizes in a mode."""
    if mode in ("int8", "int4", "float8"):
        model.quantize(mode)
        return
    kind = {"gptq": "GPTQConfig", "awq": "AWQConfig"}[mode]
    blocks = {
        "pre_block_layers": [model.get_layer("tokens")],
        "sequential_blocks": [model.get_layer("block")],
    }
    # In the configuration, which is saved, the layers would hold themselves without end.
    model.get_quantization_layer_structure = lambda mode: blocks
    model.quantize(
        mode,
        config=getattr(keras.quantizers, kind)(
            dataset=list(IDS),
            tokenizer=lambda text: text,
            num_samples=16,
            sequence_length=6,
            group_size=-1,
        ),
    )


def predicted(model):
    return model.predict(IDS, verbose=0)


@pytest.mark.parametrize(
    "mode", [pytest.param(one, marks=[pytest.mark.slow] * (one != "int8")) for one in MODES]
)
def test_cut_then_quantized(mode, tmp_path):
    model = network()
    keras_snare.prune(model, 0.5, criterion="l1_in")
    assert model.get_layer("block").get_layer("hidden").units < 7
    plain = predicted(model)
    model.save(tmp_path / "narrow.keras")
    narrow = keras.models.load_model(tmp_path / "narrow.keras")

    for one in (model, narrow):
        quantize(one, mode)
    rounded = predicted(model)
    np.testing.assert_array_equal(rounded, predicted(narrow))
    difference = np.abs(rounded - plain).max() / np.abs(plain).max()
    assert 0 < difference < (0.05 if mode == "int8" else 0.5)

    if mode in ("gptq", "awq") and "awq" in MODES:
        return  # Keras 3.15 does not load what it saved then, of a model that was not cut either.
    model.save(tmp_path / "quantized.keras")
    loaded = keras.models.load_model(tmp_path / "quantized.keras")
    np.testing.assert_allclose(predicted(loaded), rounded, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_quantized_then_cut_is_refused_whole(mode):
    model = network()
    quantize(model, mode)
    before, weights = predicted(model), model.get_weights()
    for cut in (
        lambda: keras_snare.prune(model, 0.5, criterion="l1_in"),
        lambda: keras_snare.shrink(model, {"hidden": [0, 1]}),
        lambda: keras_snare.shrink(model, {"inner": [0, 1]}),
    ):
        with pytest.raises(
            keras_snare.SnareError, match="quantized or carries LoRA|has no units to cut"
        ):
            cut()
    assert all(map(np.array_equal, weights, model.get_weights()))
    np.testing.assert_array_equal(predicted(model), before)


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_layers_beside_a_quantized_one_are_cut(mode):
    parts = [keras.Input((4,)), layers.Dense(6, "relu", name="free"), layers.Dense(5, name="read")]
    model = keras.Sequential([*parts, layers.Dense(4, "relu", name="bits"), layers.Dense(2)])
    kernel, bias = model.get_layer("read").get_weights()
    kernel[[1, 4]] = 0
    model.get_layer("read").set_weights([kernel, bias])
    model.get_layer("bits").quantize(mode)
    x = np.random.default_rng(0).random((8, 4))
    before = model.predict(x, verbose=0)

    keras_snare.shrink(model, {"free": [0, 2, 3, 5]})
    assert model.get_layer("free").units == 4
    np.testing.assert_allclose(model.predict(x, verbose=0), before, atol=1e-6)
    held = keras_snare.channel_groups(model)["read"]
    assert held.reason == "bits is quantized or carries LoRA matrices"


def test_zeros_stay_zeros_when_their_model_is_quantized():
    model = network()
    keras_snare.sparsify(model, 0.5, scope="layer")
    hidden = model.get_layer("block").get_layer("hidden")
    zero = keras.ops.convert_to_numpy(hidden.kernel) == 0
    quantize(model, "int8")
    rounded = keras.ops.convert_to_numpy(hidden.kernel)
    assert zero.mean() == 0.5
    assert not rounded[zero].any()
    with pytest.raises(keras_snare.SnareError, match="no connections to prune"):
        keras_snare.sparsify(model, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("quantize_file", [None, "int8"], ids=["float32", "int8"])
@pytest.mark.parametrize("mode", IN_FLOAT)
def test_files_of_kernels_in_four_bits_have_their_values(mode, quantize_file, tmp_path):
    x, model, path = IDS, network(), tmp_path / "model.tflite"
    if mode == "int4":  # With the embedding, "int8" is refused.
        x = np.random.default_rng(0).random((32, 40)).astype("float32")
        model = keras.Sequential([keras.Input((40,)), layers.Dense(7, "relu"), layers.Dense(3)])
    quantize(model, mode)
    keras_snare.to_litert(model, path, quantize=quantize_file, representative_data=x)
    interpreter = interpreter_of(path.read_bytes())
    details = interpreter.get_tensor_details()
    shape = (7, 40) if mode == "int4" else (7, 10)
    (kernel,) = [
        interpreter.get_tensor(one["index"]) for one in details if tuple(one["shape"]) == shape
    ]
    assert kernel.dtype == (quantize_file or "float32")
    assert max(len(np.unique(channel)) for channel in kernel) <= 16


def test_file_of_an_embedding_in_four_bits(tmp_path):
    model, path = network(), tmp_path / "model.tflite"
    quantize(model, "int4")
    told = "in float in tokens" if "int4" in IN_FLOAT else "fully_connected"
    with pytest.raises(keras_snare.UnsupportedModelError, match=told):
        keras_snare.to_litert(model, path, quantize="int8", representative_data=IDS)
    if "int4" not in IN_FLOAT:
        with pytest.raises(keras_snare.UnsupportedModelError, match=told):
            keras_snare.to_litert(model, path)
        return
    keras_snare.to_litert(model, path)
    details = interpreter_of(path.read_bytes()).get_tensor_details()
    kinds = {tuple(one["shape"]): np.dtype(one["dtype"]).name for one in details}
    assert (kinds[20, 8], kinds[7, 10]) == ("int8", "float32")
