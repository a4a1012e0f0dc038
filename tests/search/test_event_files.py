"""What TensorBoard is given, read back from the files; and what is said of a search."""

import logging
import sys

import pytest
import tensorflow as tf
from fitting import digit_model, short_fit
from resuming import killed_run, run, snare
from training import flat_digits

from keras_snare import RankReduceCallback, SnareCallback, compress, factorize
from keras_snare.policy import SnarePolicy
from keras_snare.records import GroupSize


def _events(folder):
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    found = {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for event in loading.EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


def _points(events, tag):
    return [(step, float(tf.make_ndarray(value.tensor))) for step, value in events[tag]]


def test_trials_widths_and_hyperparameters_are_written(tmp_path):
    pytest.importorskip("tensorboard")
    callback = snare(log_dir=tmp_path, max_trials=3)
    run(callback)
    rows, events = callback.report.rows, _events(tmp_path)
    assert _points(events, "snare/params") == [(row.trial, row.params) for row in rows]
    expected = [(row.trial, pytest.approx(row.metric)) for row in rows]
    assert _points(events, "snare/metric") == expected
    tags = {"snare/widths_before", "snare/widths_after", "_hparams_/session_start_info"}
    assert tags <= set(events)
    assert "eps" in str(events["_hparams_/session_start_info"][0][1].metadata)


def test_the_figures_are_among_the_images(tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("matplotlib")
    run(snare(log_dir=tmp_path, max_trials=1))
    images = {tag for tag, found in _events(tmp_path).items() if _is_image(found[0][1])}
    assert images


def _is_image(value):
    return value.HasField("metadata") and value.metadata.plugin_data.plugin_name == "images"


def test_compress_writes_the_same_points(tmp_path):
    pytest.importorskip("tensorboard")
    train, validation = flat_digits(200, 100)
    _, report = compress(
        digit_model(run_eagerly=True),
        train,
        validation,
        max_trials=2,
        warmup_epochs=1,
        retrain_epochs=1,
        log_dir=tmp_path,
        verbose=0,
    )
    assert len(report.rows) == 2
    points = _points(_events(tmp_path), "snare/params")
    assert points == [(row.trial, row.params) for row in report.rows]


def test_a_search_of_ranks_writes_the_same_points(tmp_path):
    pytest.importorskip("tensorboard")
    callback = RankReduceCallback(log_dir=tmp_path, max_trials=2, retrain_epochs=1, verbose=0)
    model = factorize(digit_model(run_eagerly=True), rank=6)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    short_fit(model, [callback], epochs=8)
    assert len(callback.report.rows) == 2
    points = _points(_events(tmp_path), "snare/params")
    assert points == [(row.trial, row.params) for row in callback.report.rows]


def test_a_run_that_goes_on_repeats_no_point(tmp_path):
    pytest.importorskip("tensorboard")
    options = {"directory": tmp_path / "run", "log_dir": tmp_path / "logs"}
    killed_run(snare(**options), "on_epoch_end", 8)
    callback = snare(**options)
    run(callback)
    events = _events(tmp_path / "logs")
    rows = [(row.trial, row.params) for row in callback.report.rows]
    assert sorted(_points(events, "snare/params")) == rows


def test_without_tensorboard_nothing_is_trained(monkeypatch, tmp_path):
    for name in [one for one in sys.modules if one.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    model = digit_model(run_eagerly=True)
    with pytest.raises(ImportError, match=r"keras-snare\[tensorboard\]"):
        short_fit(model, [snare(log_dir=tmp_path)])
    assert int(model.optimizer.iterations.numpy()) == 0


@pytest.mark.parametrize("log_dir", ["", 3])
def test_a_folder_that_is_none_is_refused(log_dir):
    with pytest.raises(TypeError, match="`log_dir` is a path or None"):
        SnareCallback(log_dir=log_dir)


def test_quiet_searches_are_logged(caplog, capsys):
    callback = snare(verbose=0, max_trials=1)
    with caplog.at_level(logging.INFO, "keras_snare"):
        run(callback)
    lines = [one.getMessage() for one in caplog.records if ": trial " in one.getMessage()]
    judged = [one for one in lines if " begins: " not in one]
    assert len(judged) == len(callback.report.rows) > 0
    assert "trial" not in capsys.readouterr().out


@pytest.mark.parametrize("max_trials", [None, 5])
def test_progress_never_falls_and_ends_at_one(max_trials):
    policy = SnarePolicy(max_trials=max_trials)
    width, seen = {"a": 20, "b": 7}, [policy.progress()]
    total = GroupSize(27, 270, 270)
    sizes = {name: GroupSize(n, 10 * n, 10 * n) for name, n in width.items()}
    while (found := policy.propose(sizes, total)) is not None:
        if policy.trials % 3 == 0:
            policy.accept()
            width[found.layer] -= found.remove
            n = width[found.layer]
            sizes[found.layer] = GroupSize(n, 10 * n, 10 * n)
        else:
            policy.reject()
        seen.append(policy.progress())
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1
