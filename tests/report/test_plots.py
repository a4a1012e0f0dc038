"""Figures of a search."""

import json
import pickle
import sys
from dataclasses import replace

import pytest
from fitting import digit_model, short_fit, widths
from reports import report

from keras_snare import SnareCallback, cost
from keras_snare.report import CompressionReport, LayerFigures

PANELS = ["metric", "size", "pareto", "widths", "params", "flops"]


@pytest.fixture
def plots():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from keras_snare.report import plots

    return plots


@pytest.mark.parametrize(
    ("changed", "expected"), [({}, PANELS), ({"layers": []}, PANELS[:3])], ids=["all", "no layers"]
)
def test_what_is_known_is_drawn(plots, changed, expected):
    assert list(plots.separate(report(**changed))) == expected
    assert len(report(**changed).plot().axes) == len(expected)


def test_accepted_and_rejected_trials_are_marked(plots):
    (axes,) = plots.separate(report())["size"].axes
    accepted, rejected = (one.get_offsets().tolist() for one in axes.collections)
    assert accepted == [[1, 900], [3, 1000]]
    assert rejected == [[2, 90]]


def test_the_front_joins_the_networks_that_no_other_beats(plots):
    (axes,) = plots.separate(report())["pareto"].axes
    front = [list(point) for point in axes.lines[0].get_xydata()]
    assert (
        front
        == [[one.params, one.metric] for one in report().pareto()]
        == [[900, 0.91], [1000, 0.93]]
    )


def test_bars_are_what_is_left_and_what_is_gone(plots):
    (axes,) = plots.separate(report())["widths"].axes
    left, gone = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert (left, gone) == ([16, 10], [48, 0])


def test_of_many_layers_those_that_lost_most_are_drawn(plots):
    layers = [LayerFigures(f"d{n}", 99, 99 - n, 9, 9, 9, 9) for n in range(80)]
    (axes,) = plots.separate(report(layers=layers))["widths"].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"d{n}" for n in range(80 - plots.MOST_LAYERS, 80)]


@pytest.mark.parametrize("rows", [[], [replace(report().rows[1])]], ids=["none", "without metric"])
def test_a_search_without_a_figure_can_be_drawn(plots, rows, tmp_path):
    report(rows=rows, baseline=None, metric=None).plot(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_notebooks_are_given_a_picture_and_nothing_is_left_open(plots):
    figure = report().plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert type(figure) is sys.modules["matplotlib.figure"].Figure
    assert pickle.loads(pickle.dumps(figure))._repr_png_() == figure._repr_png_()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    for name in [one for one in sys.modules if one.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"keras-snare\[plot\]"):
        report().to_html(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_layers_are_stored_and_reports_without_them_are_read():
    known = replace(report(), rows=[])
    assert CompressionReport.from_json(known.to_json()) == known
    old = json.loads(known.to_json())
    del old["layers"]
    assert CompressionReport.from_json(json.dumps(old)) == replace(known, layers=[])


@pytest.mark.parametrize(
    "layers",
    [[{}], [{**vars(report().layers[0]), "width_after": "x"}], 3],
    ids=["empty", "text", "3"],
)
def test_damaged_layers_are_refused(layers):
    stored = {**json.loads(report(rows=[]).to_json()), "layers": layers}
    with pytest.raises(ValueError, match="stored report"):
        CompressionReport.from_json(json.dumps(stored))


def test_a_search_tells_of_each_layer_what_it_was_and_is():
    model = digit_model(run_eagerly=True)
    before, was = cost(model), widths(model)
    snare = SnareCallback(eps=0.9, retrain_epochs=1, max_trials=3)
    short_fit(model, [snare], epochs=6)
    layers = snare.report.layers
    assert [one.width_before for one in layers] == was
    assert [one.width_after for one in layers] == widths(model) != was
    assert [one.params_before for one in layers] == [
        one.params for one in before.layers if one.params
    ]
    assert sum(one.params_after for one in layers) == snare.report.params_after
    assert sum(one.flops_after for one in layers) == snare.report.flops_after


@pytest.mark.parametrize("path", ["figure.txt", "figure"])
def test_an_ending_of_no_format_is_refused(path, tmp_path):
    with pytest.raises(ValueError, match=r"`path` ends in one of .*\.png, .*Received: path="):
        report().plot(tmp_path / path)
    assert not list(tmp_path.iterdir())
