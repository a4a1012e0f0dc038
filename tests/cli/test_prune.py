"""`keras-snare inspect` and `prune`, from words to a file."""

import json

import keras
import numpy as np
import pytest
from commands import X, Y, compiled, figures, network, prepare, refused

import keras_snare
from keras_snare.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    return tmp_path


def test_inspect_tells_groups_and_cost(folder, capsys):
    assert main(["inspect", "plain.keras", "--json"]) == 0
    found = figures(capsys)
    expected = json.loads(keras_snare.cost(network()).to_json())
    assert {name: found[name] for name in expected} == expected
    hidden, out = found["groups"]
    assert (hidden["name"], hidden["width"], hidden["removable"]) == ("hidden", 16, 15)
    assert hidden["read_by"] == ["out"]
    assert (out["prunable"], out["reason"]) == (False, "its width is the model's output")


def test_inspect_prints_what_python_prints(folder, capsys):
    assert main(["inspect", "plain.keras"]) == 0
    told, model = capsys.readouterr().out, network()
    assert str(keras_snare.channel_groups(model)) in told
    assert str(keras_snare.cost(model)) in told


CASES = {
    "plain": ([], {}),
    "local": (["--scope", "local", "--criterion", "l2"], {"scope": "local", "criterion": "l2"}),
    "widths": (["--round-to", "4", "--layers", "hid.*"], {"round_to": 4, "layers": ["hid.*"]}),
    "ranks": (["--normalize", "rank", "--rounds", "2"], {"normalize": "rank", "rounds": 2}),
    "data": (
        ["--criterion", "taylor", "--data", "data.npz"],
        {"criterion": "taylor", "data": (X, Y)},
    ),
    "refit": (
        ["--compensate", "least_squares", "--data", "x.npz"],
        {"compensate": "least_squares", "data": (X,)},
    ),
}


@pytest.mark.parametrize(("words", "options"), CASES.values(), ids=list(CASES))
def test_prune_does_what_python_does(folder, words, options, capsys):
    assert main(["prune", "model.keras", "s.keras", "--amount", "0.5", *words, "--json"]) == 0
    found, model = figures(capsys), compiled(network())
    report = keras_snare.prune(model, 0.5, **options)
    assert found == json.loads(report.to_json())
    small = keras.models.load_model("s.keras")
    assert small.compiled
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(small.predict(X, verbose=0), expected, atol=1e-6)


def test_a_model_is_compiled_by_options_for_criteria_that_need_it(folder, capsys):
    words = ["prune", "plain.keras", "s.keras", "--amount", "0.5", "--criterion", "taylor"]
    assert main([*words, "--data", "data.npz"]) == 2
    assert "needs gradients" in capsys.readouterr().err
    loss = ["--loss", "sparse_categorical_crossentropy", "--learning-rate", "0.5"]
    assert main([*words, "--data", "data.npz", *loss]) == 0
    assert float(keras.models.load_model("s.keras").optimizer.learning_rate) == 0.5


def test_a_model_may_take_the_place_of_its_own_file(folder):
    assert main(["prune", "model.keras", "model.keras", "--amount", "0.5"]) == 0
    assert keras.models.load_model("model.keras").get_layer("hidden").units == 8


MODEL = ["model.keras", "s.keras", "--amount", "0.5"]
WRONG = {
    "no_model": (["none.keras", "s.keras", "--amount", "0.5"], "a model in none.keras"),
    "no_suffix": (["model.keras", "s.h5", "--amount", "0.5"], "ends in .keras"),
    "no_folder": (["model.keras", "a/s.keras", "--amount", "0.5"], "folder that is there"),
    "a_folder": (["model.keras", "empty", "--amount", "0.5"], "ends in .keras"),
    "no_amount": (["model.keras", "s.keras"], "--amount"),
    "amount": (["model.keras", "s.keras", "--amount", "2"], "between 0 and 1"),
    "criterion": ([*MODEL, "--criterion", "best"], "Known: activation, apoz"),
    "scope": ([*MODEL, "--scope", "wide"], "one of local, global"),
    "layers": ([*MODEL, "--layers", "none"], "none"),
    "rounds": ([*MODEL, "--rounds", "0"], "`rounds`"),
    "data": ([*MODEL, "--data", "none.npz"], "data in none.npz"),
    "form": ([*MODEL, "--data", "functions.py"], "FILE.py:NAME"),
    "broken": ([*MODEL, "--data", "broken.npz"], "Expected arrays in broken.npz"),
    "shape": ([*MODEL, "--data", "wide.npz"], "examples of shape (8,)"),
    "count": ([*MODEL, "--data", "uneven.npz"], "an entry for each example"),
    "empty": ([*MODEL, "--data", "empty"], "Received: neither"),
    "labels": ([*MODEL, "--criterion", "taylor", "--data", "x.npz"], "labelled data"),
    "loss": ([*MODEL, "--loss", "best"], "--loss best"),
    "metrics": ([*MODEL, "--metrics", "accuracy"], "Give --loss as well"),
}


@pytest.mark.parametrize(("words", "match"), WRONG.values(), ids=list(WRONG))
def test_bad_input_is_told_in_one_line(folder, words, match, capsys):
    refused(folder, ["prune", *words], match, capsys)


def test_inspect_refuses_what_is_no_model(folder, capsys):
    refused(folder, ["inspect", "data.npz"], ".keras or .h5", capsys)


def test_a_file_that_was_there_stays_when_saving_fails(folder, monkeypatch, capsys):
    (folder / "s.keras").write_text("before")

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    assert main(["prune", *MODEL]) == 2
    assert "No space left" in capsys.readouterr().err
    assert (folder / "s.keras").read_text() == "before"
    assert not [one for one in folder.iterdir() if one.name.startswith("tmp")]
