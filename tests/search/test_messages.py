"""What a search prints: lines, a bar on terminals, and records for logging."""

import logging

import pytest

from keras_snare.records import TrialRow
from keras_snare.search import Objective, Teller

ROW = TrialRow(1, 4, "hidden", 16, 6, 0.64, 2, 0.91, 0.92, True, 100, 200, "accepted", [0.9, 0.91])
GOAL = Objective("val_accuracy", True, 0.02)
LINE = (
    "Epoch 4: trial 1: hidden 16 -> 6 - val_accuracy: 0.9100 (best 0.9200, eps 0.02) - "
    "parameters: 100 - accepted after 2 epochs"
)


def told(capsys, verbose, progress=0.25):
    Teller(verbose, {"verbose": 0}).trial(ROW, GOAL, progress)
    return capsys.readouterr().out


def test_a_file_gets_the_line_alone(capsys):
    assert told(capsys, 1) == f"{LINE}\n"


@pytest.mark.parametrize(
    ("progress", "shown"), [(0.25, "25%"), (1.7, "100%")], ids=["a part", "more than all"]
)
def test_a_terminal_gets_a_bar(monkeypatch, capsys, progress, shown):
    monkeypatch.setenv("FORCE_COLOR", "1")
    line, bar = told(capsys, 1, progress).splitlines()
    assert line == LINE
    assert bar.startswith("Search")
    assert shown in bar


def test_a_terminal_gets_no_bar_where_progress_is_not_known(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert told(capsys, 1, None) == f"{LINE}\n"


def test_a_quiet_search_tells_logging(monkeypatch, capsys, caplog):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with caplog.at_level(logging.INFO, logger="keras_snare"):
        assert told(capsys, 0) == ""
    assert caplog.messages == [LINE]


def test_each_trial_is_given_to_a_function(capsys):
    found = []
    Teller(0, {"verbose": 0}, found.append).trial(ROW, GOAL, 0.5)
    assert found == [ROW]
