"""What reaches `History`, `CSVLogger` and TensorBoard, and what is printed."""

import csv
import re

import keras
import pytest
import tensorflow as tf
from fitting import StopAfter, decide, digit_model, short_fit

import keras_snare
from keras_snare import SnareCallback

KEYS = ("snare_params", "snare_flops", "snare_trial", "snare_accepted")
# Trial 1 is rejected after epochs 2 and 3, trial 2 accepted after epoch 4, trial 3 at once.
VERDICTS = (False, False, False, False, True, True)
WIDTHS = [(16, 12), (6, 12), (6, 12), (11, 12)]


def _cost(hidden1, hidden2):
    params = 65 * hidden1 + (hidden1 + 1) * hidden2 + (hidden2 + 1) * 10
    made = digit_model()
    keras_snare.shrink(made, {"hidden1": range(hidden1), "hidden2": range(hidden2)})
    assert made.count_params() == params
    return params, keras_snare.cost(made).flops


@pytest.fixture(scope="module")
def expected():
    costs = [_cost(*pair) for pair in WIDTHS]
    return {
        "snare_params": [params for params, _ in costs],
        "snare_flops": [flops for _, flops in costs],
        "snare_trial": [0, 1, 1, 2],
        "snare_accepted": [0, 0, 0, 2],
    }


@pytest.fixture
def snare(monkeypatch):
    decide(monkeypatch, *VERDICTS)
    return SnareCallback(eps=0.1, retrain_epochs=2, max_trials=3)


def test_history_and_csv(snare, expected, tmp_path):
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = short_fit(digit_model(run_eagerly=True), [snare, logger], epochs=9).history
    assert {key: history[key] for key in KEYS} == expected
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert {key: [float(row[key]) for row in rows] for key in KEYS} == expected


def test_tensorboard(snare, expected, tmp_path):
    pytest.importorskip("tensorboard")
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    short_fit(digit_model(run_eagerly=True), [snare, board], epochs=9)
    assert _scalars(tmp_path / "train") == {
        key: {epoch: float(value) for epoch, value in enumerate(values)}
        for key, values in expected.items()
    }


def _scalars(folder):
    found = {}
    for path in folder.glob("events.out.*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                key = value.tag.removeprefix("epoch_")
                if key in KEYS:
                    number = float(tf.make_ndarray(value.tensor))
                    found.setdefault(key, {})[event.step] = number
    return found


def _printed(capsys, monkeypatch, verbose, fit_verbose):
    decide(monkeypatch, *VERDICTS)
    snare = SnareCallback(eps=0.1, retrain_epochs=2, max_trials=3, verbose=verbose)
    model = digit_model(run_eagerly=True)
    capsys.readouterr()
    short_fit(model, [snare], epochs=9, verbose=fit_verbose, batch_size=100)
    return snare.report, capsys.readouterr().out


JUDGED = re.compile(
    r"^Epoch (\d+): trial (\d+): (hidden\d) (\d+) -> (\d+) - val_accuracy: (0\.\d{4}) "
    r"\(best (0\.\d{4}), eps 0\.1\) - parameters: ([\d,]+) - "
    r"(accepted|rejected) (without retraining|after 1 epoch|after 2 epochs)$"
)


def _judged(out):
    matches = [JUDGED.match(line) for line in re.split(r"[\r\n]", out)]
    return [match.groups() for match in matches if match]


@pytest.mark.parametrize(
    ("verbose", "fit_verbose"),
    [(1, 0), (1, 1), (1, 2), ("auto", 1), ("auto", 2), ("auto", "auto")],
    ids=str,
)
def test_one_line_per_judged_trial(capsys, monkeypatch, verbose, fit_verbose):
    report, out = _printed(capsys, monkeypatch, verbose, fit_verbose)
    assert out.count("trial") - out.count("snare_trial") == len(report.rows) == 3
    words = {0: "without retraining", 1: "after 1 epoch", 2: "after 2 epochs"}
    assert _judged(out) == [
        (
            str(row.epoch),
            str(row.trial),
            row.layer,
            str(row.width_before),
            str(row.width_after),
            f"{row.metric:.4f}",
            f"{row.best:.4f}",
            f"{row.params:,}",
            "accepted" if row.accepted else "rejected",
            words[row.epochs],
        )
        for row in report.rows
    ]


@pytest.mark.slow
@pytest.mark.parametrize("fit_verbose", [0, 2])
def test_without_a_progress_bar_no_line_is_empty(capsys, monkeypatch, fit_verbose):
    _, out = _printed(capsys, monkeypatch, 1, fit_verbose)
    assert "\n\n" not in out
    assert not out.startswith("\n")


@pytest.mark.parametrize(("verbose", "fit_verbose"), [(0, 0), ("auto", 0)], ids=str)
def test_nothing_at_all(capsys, monkeypatch, verbose, fit_verbose):
    assert _printed(capsys, monkeypatch, verbose, fit_verbose)[1] == ""


@pytest.mark.slow
def test_zero_is_silent_in_a_loud_fit(capsys, monkeypatch):
    _, out = _printed(capsys, monkeypatch, 0, 2)
    assert "trial" not in out.replace("snare_trial", "")


def test_two_also_tells_when_a_trial_begins(capsys, monkeypatch):
    _, out = _printed(capsys, monkeypatch, 2, 0)
    lines = out.splitlines()
    begun = [line for line in lines if "begins" in line]
    assert begun == [
        "Epoch 1: trial 1 begins: hidden1 16 -> 6, parameters 604, training on",
        "Epoch 3: trial 2 begins: hidden1 16 -> 11, parameters 989, training on",
    ]
    assert len(lines) == 5


def test_an_unfinished_trial_is_told(capsys, monkeypatch):
    decide(monkeypatch)
    snare = SnareCallback(eps=0.1, retrain_epochs=2, verbose=1)
    model = digit_model(run_eagerly=True)
    capsys.readouterr()
    short_fit(model, [snare, StopAfter(2)], epochs=3)
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"Epoch 2: trial 1: hidden1 16 -> 6 - val_accuracy: unknown \(best 0\.\d{4}, eps 0\.1\) - "
        r"parameters: 604 - undone: training ended before the verdict after 1 epoch",
        line,
    )
