"""`keras-snare compress` and `report`, from words to files."""

import json

import keras
import numpy as np
import pytest
from commands import (
    X,
    Y,
    compiled,
    figures,
    image_network,
    images,
    network,
    prepare,
    refused,
    stored_dataset,
)

import keras_snare
from keras_snare.cli import main

SHORT = ["--eps", "0.3", "--retrain-epochs", "1", "--max-trials", "2", "--seed", "0"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    return tmp_path


def searched(*words):
    return main(["compress", "model.keras", "s.keras", *SHORT, *words])


def test_compress_does_what_python_does(folder, capsys):
    words = ["--train", "data.npz", "--validation-split", "0.25", "--report", "r.json"]
    assert searched(*words, "--directory", "run", "--json") == 0
    found = figures(capsys)
    options = {"eps": 0.3, "retrain_epochs": 1, "max_trials": 2, "seed": 0, "verbose": 0}
    model, report = keras_snare.compress(
        compiled(network()), (X[:48], Y[:48]), (X[48:], Y[48:]), **options
    )
    assert found == json.loads(report.to_json())
    assert found == json.loads((folder / "r.json").read_text())
    small = keras.models.load_model("s.keras")
    assert small.count_params() == report.params_after < report.params_before
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(small.predict(X, verbose=0), expected, atol=1e-6)
    assert main(["report", "run", "--json"]) == 0
    assert figures(capsys) == found
    assert main(["report", "r.json"]) == 0
    told = capsys.readouterr().out
    assert report.summary() in told
    assert report.pareto_table() in told
    assert main(["report", "r.json", "--html", "r.html", "--plot", "r.png"]) == 0
    assert "<html" in (folder / "r.html").read_text()
    assert (folder / "r.png").read_bytes().startswith(b"\x89PNG")


def test_trials_are_told_on_stderr_and_the_result_on_stdout(folder, capsys):
    assert searched("--train", "functions.py:data", "--validation", "named.npz") == 0
    out, told = capsys.readouterr()
    assert "trial 1: hidden" in told
    assert "2 trials accepted" in out
    assert "Epoch" not in out


@pytest.mark.parametrize("batch", [None, 16])
def test_a_stored_dataset(folder, batch, capsys):
    stored_dataset(folder, batch)
    assert searched("--train", "snapshot", "--validation", "data.npz", "--json") == 0
    assert len(figures(capsys)["rows"]) == 2


def test_a_folder_of_images(folder, capsys):
    images(folder)
    compiled(image_network(), keras.losses.SparseCategoricalCrossentropy(True)).save("model.keras")
    assert searched("--train", "images", "--validation", "images", "--json") == 0
    assert len(figures(capsys)["rows"]) == 2


def test_a_model_is_compiled_by_options(folder, capsys):
    words = ["compress", "plain.keras", "s.keras", *SHORT, "--train", "data.npz"]
    words += ["--validation", "data.npz"]
    refused(folder, words, "Give --loss", capsys)
    loss = ["--loss", "sparse_categorical_crossentropy", "--metrics", "accuracy"]
    assert main([*words, *loss, "--optimizer", "sgd", "--json"]) == 0
    assert keras.models.load_model("s.keras").optimizer.name.lower() == "sgd"


def test_what_is_stopped_writes_no_model(folder, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "evaluate", stop)
    assert searched("--train", "data.npz", "--validation", "data.npz") == 130
    assert capsys.readouterr().err.endswith("keras-snare: stopped\n")
    assert not (folder / "s.keras").exists()


DATA = ["--train", "data.npz", "--validation", "data.npz"]
WRONG = {
    "no_validation": (["--train", "data.npz"], "--validation-split"),
    "both": ([*DATA, "--validation-split", "0.1"], "not both"),
    "no_targets": (["--train", "x.npz", "--validation", "x.npz"], "Expected targets in x.npz"),
    "shapes": (["--train", "wide.npz", "--validation", "data.npz"], "examples of shape (8,)"),
    "classes": (["--train", "data.npz", "--validation", "classes.npz"], "refuses the data"),
    "share": (["--train", "data.npz", "--validation-split", "2"], "between 0 and 1"),
    "no_arrays": (["--train", "functions.py:nothing", "--validation-split", "0.1"], "takes arrays"),
    "nothing": (["--train", "functions.py:nothing", "--validation", "data.npz"], "`train` is"),
    "criterion": ([*DATA, "--criterion", "best"], "Known: activation"),
    "monitor": ([*DATA, "--monitor", "auc"], "auc"),
    "eps": ([*DATA, "--eps", "-1"], "eps"),
    "engine": ([*DATA, "--engine", "fast"], "fast"),
    "report_folder": ([*DATA, "--report", "a/r.json"], "folder that is there"),
    "report_suffix": ([*DATA, "--report", "r.txt"], "ends in .json"),
    "directory": ([*DATA, "--directory", "x.npz"], "Received the file x.npz"),
}


@pytest.mark.parametrize(("words", "match"), WRONG.values(), ids=list(WRONG))
def test_bad_input_is_told_in_one_line(folder, words, match, capsys):
    refused(folder, ["compress", "model.keras", "s.keras", *words], match, capsys)


def test_images_of_more_classes_than_the_model_has_are_refused(folder, capsys):
    images(folder, ("a", "b", "c"))
    compiled(image_network()).save("images.keras")
    words = ["compress", "images.keras", "s.keras", "--train", "images", "--validation", "images"]
    refused(folder, words, "each of the 2 classes", capsys)
    words[1] = "model.keras"
    refused(folder, words, "(height, width, 1, 3 or 4)", capsys)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--html", "r.txt"], "ends in .html"),
        (["--html", "a/r.html"], "folder that is there"),
        (["--plot", "r.doc"], "ends in .png"),
    ],
    ids=["page", "folder", "figure"],
)
def test_report_refuses_what_it_cannot_write(folder, words, match, capsys):
    refused(folder, ["report", "run", *words], match, capsys)


@pytest.mark.parametrize(
    ("source", "match"),
    [("none", "no such file"), ("empty", "there is no run"), ("functions.py", "JSON object")],
)
def test_report_refuses_what_is_none(folder, source, match, capsys):
    refused(folder, ["report", source], match, capsys)


def test_python_is_told_of_each_trial(folder):
    told = []
    options = {"eps": 0.3, "retrain_epochs": 1, "max_trials": 2, "verbose": 0}
    with pytest.raises(TypeError, match="`on_trial` is a function"):
        keras_snare.compress(compiled(network()), (X, Y), (X, Y), **options, on_trial=told)
    _, report = keras_snare.compress(
        compiled(network()), (X, Y), (X, Y), **options, on_trial=told.append
    )
    assert told == report.rows
    assert len(told) == 2


@pytest.mark.slow
def test_trials_on_ray_find_what_one_process_finds(folder, capsys):
    pytest.importorskip("ray")
    words = ["--train", "data.npz", "--validation", "named.npz", "--json"]
    assert searched(*words) == 0
    expected = figures(capsys)
    assert searched(*words, "--engine", "ray") == 0
    assert figures(capsys)["params_after"] == expected["params_after"]
    assert keras.models.load_model("s.keras").count_params() == expected["params_after"]
