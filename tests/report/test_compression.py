"""The report of a search, for people and for programs."""

import json
import math
from dataclasses import replace

import pytest

from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport


def _row(trial, accepted, metric=0.91, epochs=2, reason=None):
    return TrialRow(
        trial=trial,
        epoch=10 + trial,
        layer="conv1",
        width_before=64,
        width_after=23,
        share=0.64,
        epochs=epochs,
        metric=metric,
        best=0.92,
        accepted=accepted,
        params=12_345,
        flops=678_901,
        reason=reason or ("accepted" if accepted else "rejected"),
    )


def _report(**changed):
    figures = {
        "monitor": "val_accuracy",
        "eps": 0.005,
        "params_before": 100_000,
        "flops_before": 2_000_000,
        "params_after": 25_000,
        "flops_after": 800_000,
        "rows": [_row(1, True), _row(2, False, 0.5), _row(3, True, 0.915, 0)],
        "baseline": 0.91,
        "best": 0.92,
        "metric": 0.915,
        "retraining_epochs": 4,
        "finished": True,
    }
    return CompressionReport(**{**figures, **changed})


def test_ratios_and_counts():
    report = _report()
    assert report.params_ratio == 4.0
    assert report.flops_ratio == 2.5
    assert report.accepted == 2


def test_a_model_without_operations_is_no_division_by_zero():
    assert _report(flops_after=0).flops_ratio == 2_000_000


def test_summary_has_a_line_per_trial():
    lines = [line.split() for line in _report().summary().splitlines()]
    rows = [[cell for cell in line if cell != "│"] for line in lines if "conv1" in line]
    assert rows == [
        "1 11 conv1 64 -> 23 2 0.9100 12,345 678,901 accepted".split(),
        "2 12 conv1 64 -> 23 2 0.5000 12,345 678,901 rejected".split(),
        "3 13 conv1 64 -> 23 0 0.9150 12,345 678,901 accepted".split(),
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "Parameters 100,000 -> 25,000 (4.00 times fewer)"),
        ({}, "FLOPs 2,000,000 -> 800,000 (2.50 times fewer)"),
        ({}, "val_accuracy 0.9150, best seen 0.9200, accepted loss 0.005"),
        ({}, "2 of 3 trials accepted, 4 epochs of retraining. The search is finished."),
        ({"finished": False}, "of retraining. Training ended before the search."),
        ({"metric": None, "best": None}, "val_accuracy unknown, best seen unknown"),
        ({"rows": [], "retraining_epochs": 0}, "0 of 0 trials accepted, 0 epochs of retraining."),
    ],
)
def test_summary_tells_the_result(changed, expected):
    assert expected in _report(**changed).summary()


def test_long_names_and_reasons_stay_readable():
    reason = "undone: training ended before the verdict"
    summary = _report(rows=[_row(1, False, math.nan, reason=reason)]).summary()
    words = summary.replace("│", " ").split()
    assert all(word in words for word in reason.split())
    assert max(len(line) for line in summary.splitlines()) <= 120


def test_json_has_every_figure():
    found = json.loads(_report().to_json())
    assert len(found.pop("rows")) == 3
    assert found == {
        "monitor": "val_accuracy",
        "eps": 0.005,
        "params_before": 100_000,
        "flops_before": 2_000_000,
        "params_after": 25_000,
        "flops_after": 800_000,
        "params_ratio": 4.0,
        "flops_ratio": 2.5,
        "baseline": 0.91,
        "best": 0.92,
        "metric": 0.915,
        "retraining_epochs": 4,
        "finished": True,
        "higher": True,
        "layers": [],
        "pareto_params": [2],
        "pareto_flops": [2],
    }
    assert json.loads(_report().to_json())["rows"][0] == vars(_row(1, True))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_json_stays_json_where_a_figure_is_not_finite(value):
    text = _report(metric=value, rows=[_row(1, False, value)]).to_json()
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["metric"] is None
    assert found["rows"][0]["metric"] is None


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"rows": []},
        {"baseline": None, "best": None, "metric": None},
        {"eps": 0, "baseline": 1, "finished": False, "flops_after": 0},
        {"monitor": "val_Größe"},
    ],
    ids="full no_rows unknown whole_numbers name".split(),
)
def test_a_report_is_read_back(changed):
    report = _report(**changed)
    assert CompressionReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_what_is_not_finite_is_read_back_as_unknown(value):
    row = replace(_row(2, False), metric=value, best=value)
    report = _report(metric=value, best=value, baseline=value, rows=[_row(1, True), row])
    again = CompressionReport.from_json(report.to_json())
    assert (again.metric, again.best, again.baseline) == (None, None, None)
    first, second = again.rows
    assert math.isnan(second.metric)
    assert math.isnan(second.best)
    assert [first, replace(second, metric=0.0, best=0.0)] == [
        _row(1, True),
        replace(row, metric=0.0, best=0.0),
    ]
    assert again.to_json() == report.to_json()
    assert again.summary().splitlines()[-1] == report.summary().splitlines()[-1]


def _changed(**figures):
    return json.dumps({**json.loads(_report().to_json()), **figures})


def _with_row(**figures):
    (row, *_) = json.loads(_report().to_json())["rows"]
    return _changed(rows=[{**row, **figures}])


NO_REPORT = {
    "no text": (None, "None .TypeError"),
    "bytes": (b"\xff", ".UnicodeDecodeError"),
    "empty": ("", "'' .JSONDecodeError"),
    "broken": (_report().to_json()[:-20], "JSONDecodeError"),
    "list": ("[1]", r"'\[1\]' .TypeError"),
    "number": ("3", "'3' .AttributeError"),
    "null": ("null", "'null' .AttributeError"),
    "empty object": ("{}", "'{}' .KeyError: 'rows'"),
    "no figures": ('{"rows": []}', "missing 6 required"),
    "rows": (_changed(rows=3), "TypeError"),
    "row": (_changed(rows=[3]), "AttributeError"),
    "row without figures": (_changed(rows=[{}]), "missing 13 required"),
    "unknown figure of a row": (_with_row(colour="red"), "colour"),
    "monitor": (_changed(monitor=3), "monitor is 3"),
    "eps": (_changed(eps="small"), "eps is 'small'"),
    "parameters": (_changed(params_after=None), "params_after is None"),
    "fraction of a parameter": (_changed(params_after=2.5), "params_after is 2.5"),
    "metric": (_changed(metric="good"), "metric is 'good'"),
    "finished": (_changed(finished="no"), "finished is 'no'"),
    "epochs": (_changed(retraining_epochs=True), "retraining_epochs is True"),
    "verdict": (_with_row(accepted=1), "accepted is 1"),
    "layer": (_with_row(layer=None), "layer is nan"),
}


@pytest.mark.parametrize(("text", "reason"), NO_REPORT.values(), ids=NO_REPORT)
def test_a_text_that_is_no_report(text, reason):
    message = rf"(?s)is a JSON object, as CompressionReport.to_json writes it. Received: .*{reason}"
    with pytest.raises(ValueError, match=message):
        CompressionReport.from_json(text)


def test_candidates_are_the_base_and_what_was_accepted():
    found = _report().candidates()
    assert [(one.number, one.trial, one.metric) for one in found] == [
        (0, 0, 0.91),
        (1, 1, 0.91),
        (2, 3, 0.915),
    ]
    assert (found[0].params, found[0].flops) == (100_000, 2_000_000)
    assert (found[1].params, found[1].flops) == (12_345, 678_901)


def _course(higher, *points):
    rows = [
        replace(_row(at + 1, True, metric), params=params, flops=flops)
        for at, (metric, params, flops) in enumerate(points)
    ]
    return _report(rows=rows, higher=higher, baseline=0.5)


def test_the_front_has_no_network_that_another_beats():
    points = ((0.9, 900, 50), (0.8, 800, 60), (0.85, 700, 70), (math.nan, 10, 10))
    report = _course(True, *points)
    assert [one.number for one in report.pareto()] == [3, 1]
    assert [one.number for one in report.pareto("flops")] == [1]
    # A loss: less is better, and the base has least of it.
    report = _course(False, *points)
    assert [one.number for one in report.pareto()] == [3, 2, 0]
    assert [one.number for one in report.pareto("flops")] == [1, 2, 0]


def test_the_table_has_the_fronts():
    lines = _course(True, (0.9, 900, 50), (0.8, 800, 60)).pareto_table().splitlines()
    assert [line for line in lines if "parameters, FLOPs" in line and "0.9000" in line]
    assert not [line for line in lines if "0.8000" in line and "FLOPs" in line]


def test_another_cost_is_told():
    with pytest.raises(ValueError, match="`cost` is 'params' or 'flops'"):
        _report().pareto("bytes")


def test_the_course_of_a_trial_is_read_back():
    row = replace(_row(1, True), metrics=[0.5, math.nan, 0.9])
    again = CompressionReport.from_json(_report(rows=[row]).to_json()).rows[0].metrics
    assert again[0::2] == [0.5, 0.9]
    assert math.isnan(again[1])


@pytest.mark.parametrize("metrics", ["0.5", 0.5, ["0.5"], [[0.5]], None])
def test_a_course_of_another_kind_is_refused(metrics):
    stored = json.loads(_report().to_json())
    stored["rows"][0]["metrics"] = metrics
    with pytest.raises(ValueError, match="A stored report"):
        CompressionReport.from_json(json.dumps(stored))
