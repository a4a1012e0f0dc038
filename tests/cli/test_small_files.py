"""`keras-snare factorize`, `pack`, `unpack` and `compare`, from words to files."""

import json

import keras
import numpy as np
import pytest
from commands import X, Y, compiled, figures, network, prepare, refused

import keras_snare
from keras_snare.cli import main
from keras_snare.cli.inputs import read_model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    return tmp_path


RANKS = {
    "share": (["--rank", "0.5"], {"rank": 0.5}),
    "layer": (["--rank", "hidden=2"], {"rank": {"hidden": 2}}),
    "energy": (["--rank", "energy:0.5", "--layers", "hidden"], {"rank": "energy:0.5"}),
    "budget": (["--budget", "0.6", "--data", "x.npz"], {"budget": 0.6, "data": (X,)}),
}


@pytest.mark.parametrize(("words", "options"), RANKS.values(), ids=list(RANKS))
def test_factorize_does_what_python_does(folder, words, options, capsys):
    assert main(["factorize", "model.keras", "s.keras", *words, "--json"]) == 0
    options |= {"layers": ["hidden"]} if "--layers" in words else {}
    expected = keras_snare.factorize(compiled(network()), **options)
    assert figures(capsys) == json.loads(keras_snare.factorize_report(expected).to_json())
    small = keras.models.load_model("s.keras")
    assert small.compiled
    outputs = expected.predict(X, verbose=0)
    np.testing.assert_allclose(small.predict(X, verbose=0), outputs, atol=1e-5)


PACKED = {
    "exact": ([], {}),
    "quality": (["--quality", "60"], {"quality": 60}),
    "data": (["--quality", "60", "--data", "data.npz"], {"quality": 60, "data": (X, Y)}),
    "compiled": (["--quality", "60", "--compiled"], {"quality": 60, "compiled": True}),
}


@pytest.mark.parametrize(("words", "options"), PACKED.values(), ids=list(PACKED))
def test_pack_and_unpack_do_what_python_does(folder, words, options, capsys):
    assert main(["pack", "model.keras", "m.snare", *words, "--json"]) == 0
    found = figures(capsys)
    assert found["bytes"] == (folder / "m.snare").stat().st_size
    model = read_model(folder / "model.keras", None, False, compiled=True)
    keras_snare.pack(model, "expected.snare", **options)
    assert (folder / "m.snare").read_bytes() == (folder / "expected.snare").read_bytes()
    assert main(["unpack", "m.snare", "u.keras", "--json"]) == 0
    found, model = figures(capsys), keras.models.load_model("u.keras")
    assert found["params"] == model.count_params()
    assert model.compiled == options.get("compiled", False)
    for one, other in zip(keras_snare.unpack("m.snare").weights, model.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_compare_tells_metrics_and_sizes(folder, capsys):
    keras_snare.prune(model := compiled(network()), 0.5)
    model.save("small.keras")
    words = ["compare", "model.keras", "small.keras", "--repeats", "2", "--json"]
    assert main([*words, "--data", "data.npz"]) == 0
    found = figures(capsys)
    expected = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found["after"]["params"] == model.count_params() < found["before"]["params"]
    assert found["after"]["metrics"] == pytest.approx(expected, abs=1e-5)


WRONG = {
    "factorize_output": (["factorize", "model.keras", "s.h5"], "ends in .keras"),
    "factorize_budget": (["factorize", "model.keras", "s.keras", "--budget", "all"], "--budget"),
    "factorize_rank": (["factorize", "model.keras", "s.keras", "--rank", "most"], "most"),
    "factorize_ranks": (
        ["factorize", "model.keras", "s.keras", "--rank", "2", "--rank", "out=2"],
        "LAYER=RANK",
    ),
    "factorize_layer": (["factorize", "model.keras", "s.keras", "--rank", "none=2"], "none"),
    "factorize_method": (["factorize", "model.keras", "s.keras", "--method", "qr"], "qr"),
    "pack_output": (["pack", "model.keras", "m.bin"], "ends in .snare"),
    "pack_folder": (["pack", "model.keras", "a/m.snare"], "folder that is there"),
    "pack_quality": (["pack", "model.keras", "m.snare", "--quality", "0"], "from 1 to 100"),
    "pack_loss": (["pack", "model.keras", "m.snare", "--max-loss", "0.1"], "`max_loss`"),
    "pack_plain": (
        ["pack", "plain.keras", "m.snare", "--quality", "9", "--data", "data.npz"],
        "compiled",
    ),
    "unpack_file": (["unpack", "none.snare", "u.keras"], "none.snare"),
    "unpack_other": (["unpack", "data.npz", "u.keras"], "file"),
    "unpack_output": (["unpack", "data.npz", "u.h5"], "ends in .keras"),
    "compare_file": (["compare", "model.keras", "none.keras"], "a model in none.keras"),
    "compare_plain": (["compare", "model.keras", "plain.keras", "--data", "data.npz"], "compiled"),
    "compare_repeats": (["compare", "model.keras", "plain.keras", "--repeats", "0"], "repeats"),
}


@pytest.mark.parametrize(("words", "match"), WRONG.values(), ids=list(WRONG))
def test_bad_input_is_told_in_one_line(folder, words, match, capsys):
    refused(folder, words, match, capsys)
