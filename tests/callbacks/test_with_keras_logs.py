"""`CSVLogger` and `TensorBoard`, wherever they stand beside a search."""

import csv

import keras
import pytest
import tensorflow as tf
from with_keras import NAMES, WIDTHS, search_with


def _params(hidden1, hidden2, digit):
    return 65 * hidden1 + (hidden1 + 1) * hidden2 + (hidden2 + 1) * digit


PARAMS = [_params(*widths) for widths in WIDTHS]


@pytest.mark.parametrize(
    ("order", "accepted"),
    [("before", [0, 0, 1, 1]), ("behind", [0, 1, 1, 1])],
    ids=NAMES,
)
def test_every_row_has_the_figures_of_its_network(monkeypatch, tmp_path, order, accepted):
    """In front of a search, verdicts are counted one epoch later."""
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    _, _, history, _ = search_with(monkeypatch, logger, order)
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    found = {name: [float(row[name]) for row in rows] for name in rows[0]}
    assert found["snare_params"] == history["snare_params"] == PARAMS
    assert found["snare_trial"] == history["snare_trial"] == [0, 1, 2, 2]
    assert found["val_accuracy"] == pytest.approx(history["val_accuracy"])
    assert found["snare_accepted"] == accepted
    assert history["snare_accepted"] == [0, 1, 1, 1]


def _numbers(folder):
    """How many weights the histograms of each epoch count, and what was logged, by tag."""
    counted, scalars = {}, {}
    for path in folder.glob("events.out.*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.endswith("/histogram"):
                    buckets = tf.make_ndarray(value.tensor)
                    counted[event.step] = counted.get(event.step, 0) + buckets[:, 2].sum()
                elif value.tag.startswith("epoch_"):
                    number = float(tf.make_ndarray(value.tensor))
                    scalars.setdefault(value.tag, []).append(number)
    return [counted[step] for step in sorted(counted)], scalars


@pytest.mark.parametrize(
    ("order", "expected"),
    # Behind a search, histograms are of the network that goes on.
    [("before", PARAMS), ("behind", [*PARAMS[1:], PARAMS[1]])],
    ids=NAMES,
)
def test_histograms(monkeypatch, tmp_path, order, expected):
    pytest.importorskip("tensorboard")
    board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1, write_images=True)
    _, _, history, _ = search_with(monkeypatch, board, order)
    counted, scalars = _numbers(tmp_path / "train")
    assert counted == pytest.approx(expected)
    assert scalars["epoch_snare_params"] == PARAMS
    assert scalars["epoch_loss"] == pytest.approx(history["loss"])
