"""`keras-snare quantize`, from words to a file."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_snare
from keras_snare.cli import main

layers = keras.layers
X = np.random.default_rng(0).random((64, 8), "float32")
IDS = np.random.default_rng(0).integers(0, 20, (32, 6))


def network():
    parts = [layers.Dense(12, "relu", name="hidden"), layers.Dense(4, "softmax", name="out")]
    model = keras.Sequential([keras.Input((8,), name="pixels"), *parts])
    keras_snare.prune(model, 0.5, criterion="l1_in")
    return model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a cut model and data of each form, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    network().save("model.keras")
    np.savez("x.npz", x=X, y=np.zeros(64))
    np.savez("pixels.npz", pixels=X)
    np.savez("other.npz", a=X, b=X)
    (tmp_path / "functions.py").write_text(
        "import numpy as np\n"
        "def data():\n    return np.load('x.npz')['x']\n"
        "def no_config(model):\n    return None\n"
        "number = 3\n"
    )
    (tmp_path / "broken.py").write_text("import no_such_package\n")
    return tmp_path


def told(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("data", ["x.npz", "pixels.npz", "functions.py:data"])
def test_an_integer_file_for_litert(folder, data, capsys):
    words = ["quantize", "model.keras", "model.tflite", "--mode", "int8", "--data", data, "--json"]
    assert main([*words, "--input-type", "int8"]) == 0
    found = told(capsys)
    assert found["bytes"] == (folder / "model.tflite").stat().st_size
    assert found["quantize"] == "int8"
    assert found["representative"]
    assert found["difference"] < 0.1


def test_a_float_file_needs_no_data(folder, capsys):
    assert main(["quantize", "model.keras", "model.tflite", "--mode", "float32"]) == 0
    assert (folder / "model.tflite").is_file()
    assert "quantize=None" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["int8", pytest.param("int4", marks=pytest.mark.slow), "float8"])
def test_keras_quantizes_a_cut_model(folder, mode, capsys):
    words = ["quantize", "model.keras", "small.keras", "--mode", mode, "--data", "x.npz", "--json"]
    assert main(words) == 0
    found = told(capsys)
    expected = keras.models.load_model("model.keras")
    model = keras.models.load_model("small.keras")
    assert model.get_layer("hidden").quantization_mode == mode
    assert model.get_layer("hidden").units == expected.get_layer("hidden").units < 12
    assert found["layers"] == ["hidden", "out"]
    assert found["left"] == []
    assert found["bytes"] == (folder / "small.keras").stat().st_size
    expected, value = expected.predict(X[:32], verbose=0), model.predict(X[:32], verbose=0)
    off = np.abs(value - expected).max() / np.abs(expected).max()
    assert found["difference"] == pytest.approx(off, abs=1e-5)
    assert off < 0.5


CONFIG = """
import keras, numpy as np
IDS = np.random.default_rng(0).integers(0, 20, (32, 6))

def blocks(model):
    held = {"pre_block_layers": [model.get_layer("tokens")],
            "sequential_blocks": [model.get_layer("block")]}
    # In the configuration, which is saved, the layers would hold themselves without end.
    model.get_quantization_layer_structure = lambda mode: held
    return dict(dataset=list(IDS), tokenizer=lambda text: text, num_samples=16, sequence_length=6,
                group_size=-1)

def gptq(model):
    return keras.quantizers.GPTQConfig(**blocks(model))

def awq(model):
    return keras.quantizers.AWQConfig(**blocks(model))

def data():
    return IDS
"""


@pytest.mark.filterwarnings("ignore:Layer \\w+ does not have a `quantize` method")
@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_modes_with_a_configuration_write_what_keras_loads_or_nothing(folder, mode, capsys):
    newest = hasattr(keras.quantizers, "AWQConfig")
    if mode == "awq" and not newest:
        pytest.skip("this Keras has no AWQ")
    inputs = keras.Input((6,), dtype="int32")
    found = layers.Embedding(20, 8, name="tokens")(inputs)
    parts = [layers.Dense(10, "relu", name="inner"), layers.Dense(3, name="last")]
    block = keras.Sequential([keras.Input((6, 8)), *parts], name="block")
    keras.Model(inputs, layers.GlobalAveragePooling1D()(block(found))).save("words.keras")
    (folder / "config.py").write_text(CONFIG)
    words = ["quantize", "words.keras", "small.keras", "--mode", mode, "--json"]
    code = main([*words, "--config", f"config.py:{mode}", "--data", "config.py:data"])
    if code == 0:
        assert {"inner", "last"} <= set(told(capsys)["layers"])
        assert keras.models.load_model("small.keras").get_layer("block").layers
    else:
        assert newest
        assert code == 2
        assert f"does not load what it saved of '{mode}'" in capsys.readouterr().err
        assert not (folder / "small.keras").exists()


KERAS_INT8 = ["model.keras", "small.keras", "--mode", "int8"]
LITERT_INT8 = ["model.keras", "small.tflite", "--mode", "int8"]
WRONG = {
    "no_model": (["none.keras", "small.tflite", "--mode", "int8"], "a model in none.keras"),
    "no_format": (["x.npz", "small.tflite", "--mode", "int8"], "a .keras or .h5 file"),
    "no_output": (["model.keras", "small.bin", "--mode", "int8"], "ends in .tflite or .keras"),
    "no_folder": (["model.keras", "a/b.tflite", "--mode", "float32"], "folder that is there"),
    "no_mode": (["model.keras", "small.tflite"], "--mode"),
    "mode_of_litert": (["model.keras", "small.keras", "--mode", "dynamic"], "one of int8, int4"),
    "mode_of_keras": (["model.keras", "small.tflite", "--mode", "int4"], "one of float32"),
    "no_data": (LITERT_INT8, "Expected representative_data with quantize='int8'"),
    "no_such_data": ([*LITERT_INT8, "--data", "none.npz"], "data in none.npz"),
    "unnamed": ([*LITERT_INT8, "--data", "other.npz"], "to hold 'x', or the model's inputs"),
    "no_function": ([*LITERT_INT8, "--data", "functions.py:none"], "a function 'none'"),
    "no_call": ([*LITERT_INT8, "--data", "functions.py:number"], "Received: 3"),
    "broken_code": ([*LITERT_INT8, "--data", "broken.py:data"], "ModuleNotFoundError"),
    "no_form": ([*LITERT_INT8, "--data", "data.csv"], "data in an .npz file or a function as"),
    "type_of_keras": ([*KERAS_INT8, "--input-type", "int8"], "--input-type: not for .keras"),
    "config_of_litert": ([*LITERT_INT8, "--config", "functions.py:no_config"], "--config: not for"),
    "no_config": (["model.keras", "small.keras", "--mode", "gptq"], "GPTQConfig of the model"),
    "no_such_option": ([*KERAS_INT8, "--fast"], "--fast"),
    "no_tolerance": ([*LITERT_INT8, "--tolerance", "small"], "--tolerance"),
}


@pytest.mark.parametrize(("words", "match"), WRONG.values(), ids=list(WRONG))
def test_bad_input_is_told_in_one_line(folder, words, match, capsys):
    before = sorted(folder.iterdir())
    assert main(["quantize", *words]) == 2
    told = capsys.readouterr().err.strip()
    assert match in told
    assert told.startswith("keras-snare: ")
    assert "\n" not in told
    assert sorted(one for one in folder.iterdir() if one.name != "__pycache__") == before


def test_a_model_that_is_none_is_told(folder, capsys):
    (folder / "model.keras").write_bytes(b"no model")
    assert main(["quantize", *KERAS_INT8]) == 2
    assert "Keras does not load model.keras" in capsys.readouterr().err


@pytest.mark.slow
def test_layers_of_the_user_come_from_code(folder, capsys):
    code = (
        "import keras\n"
        "@keras.saving.register_keras_serializable('mine')\n"
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, inputs):\n        return inputs * 2\n"
    )
    (folder / "mine.py").write_text(code)
    make = "import keras, mine\nmodel = keras.Sequential([keras.Input((3,)), mine.Twice()])\n"
    subprocess.run([sys.executable, "-c", make + "model.save('mine.keras')"], check=True)
    words = ["quantize", "mine.keras", "mine.tflite", "--mode", "float32"]
    assert main(words) == 2
    assert "with --code" in capsys.readouterr().err
    assert main([*words, "--code", "mine.py"]) == 0


def test_code_in_the_file_runs_when_it_is_trusted(folder, capsys):
    parts = [layers.Lambda(lambda one: one * 2.0, output_shape=(8,)), layers.Dense(3)]
    keras.Sequential([keras.Input((8,)), *parts]).save("model.keras")
    assert main(["quantize", *KERAS_INT8]) == 2
    assert "add --trust" in capsys.readouterr().err
    assert main(["quantize", *KERAS_INT8, "--trust"]) == 0
    assert (folder / "small.keras").is_file()


def test_nothing_to_quantize_is_told(folder, capsys):
    keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3)]).save("model.keras")
    assert main(["quantize", *KERAS_INT8]) == 2
    assert "Keras quantizes no layer" in capsys.readouterr().err
    assert not (folder / "small.keras").exists()


def test_the_command_is_installed_and_tells_its_version():
    run = [sys.executable, "-m", "keras_snare", "--version"]
    found = subprocess.run(run, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == keras_snare.__version__


def test_no_words_tell_the_commands(capsys):
    assert main([]) == 0
    assert "quantize" in capsys.readouterr().out


def test_without_typer_the_error_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["--version"]) == 2
    assert "keras-snare[cli]" in capsys.readouterr().err
