"""The command as a shell sees it: help, completion, exit codes, and what the documents promise."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from commands import X, Y, prepare

import keras_snare
from keras_snare.cli import main

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = "inspect prune compress factorize quantize pack unpack compare report".split()


def shell(*words, folder=None, **environment):
    import os

    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "keras_snare", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    np.savez("train.npz", x=X[:48], y=Y[:48])
    np.savez("validation.npz", x=X[48:], y=Y[48:])
    return tmp_path


def test_no_words_list_the_commands(capsys):
    assert main([]) == 0
    told = capsys.readouterr().out
    listed = re.findall(r"^  (\w+) ", told.split("Commands:")[1], re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example_of_the_command(command, capsys):
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Example:\n  keras-snare {command} " in re.sub(r"\n +keras", "\n  keras", told)
    options = re.findall(r"^  (--[\w-]+)", told, re.MULTILINE)
    assert {"--json", "--help"} <= set(options)


def test_a_real_process_cuts_a_model(folder):
    words = ["prune", "model.keras", "small.keras", "--amount", "0.5", "--json"]
    found = shell(*words, folder=folder)
    assert found.returncode == 0, found.stderr
    figures, model = json.loads(found.stdout), keras.models.load_model("small.keras")
    assert figures["params_after"] == keras_snare.cost(model).params == 108


def test_a_real_process_refuses_bad_input(folder):
    found = shell("prune", "none.keras", "small.keras", "--amount", "0.5", folder=folder)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.splitlines()[-1].startswith("keras-snare: Expected a model in none.keras")


def test_the_shell_completes_commands(tmp_path):
    asked = {"_KERAS_SNARE_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    found = shell(folder=tmp_path, COMP_WORDS="keras-snare com", **asked)
    assert found.stdout.split() == ["compress", "compare"]


def test_the_completion_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--show-completion", "bash"])
    assert ended.value.code == 0
    assert "_KERAS_SNARE_COMPLETE" in capsys.readouterr().out


def examples(name):
    """The lines with the command in the fenced bash blocks of a document."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("keras-snare ")]


def test_examples_of_the_documents_run(folder, capsys):
    every = [*examples("docs/command_line.md"), *examples("README.md")]
    assert {words[0] for words in every} == set(COMMANDS)
    for words in every:
        assert main(words) == 0, (words, capsys.readouterr().err)
    assert (folder / "unpacked.keras").is_file()
