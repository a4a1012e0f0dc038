"""Figures of a search; this module is imported where matplotlib is there."""

import io
import math
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_snare.files import write_whole
from keras_snare.report.layers import LayerFigures

ACCEPTED, REJECTED, LEFT, GONE, LINE = "#1a9850", "#d9534f", "#3b82c4", "#a9b4bf", "#8a939c"
MOST_LAYERS = 30

# What is drawn in this colour takes that of the page's text.
_INK = "#010203"
_STYLE: Any = {
    "font.size": 9,
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.color": LINE,
    "axes.axisbelow": True,
    "legend.framealpha": 0.0,
    "axes.formatter.useoffset": False,
}
_ON_PAGE: Any = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), _INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "axes.titlecolor"), _INK),
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


def _figure(width: float, height: float) -> Figure:
    """A figure that notebooks show, also where pyplot was not imported."""
    # No subclass: others, such as Weights & Biases, know matplotlib's figures by their class.
    figure = Figure(figsize=(width, height), layout="constrained")
    vars(figure)["_repr_png_"] = partial(_png, figure)
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def check_ending(path: str | os.PathLike[str]) -> str:
    """Returns the ending of a path, without its dot, in which a figure can be written.

    Raises:
        ValueError: when there is no such format.
    """
    ending, known = Path(path).suffix[1:].lower(), Figure().canvas.get_supported_filetypes()
    if ending not in known:
        raise ValueError(
            f"`path` ends in one of {', '.join(f'.{one}' for one in sorted(known))}. Received: "
            f"path={os.fspath(path)!r}"
        )
    return ending


def written(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a figure, whole or not at all.

    Raises:
        ValueError: when the ending of the path is that of no format.
        OSError: when the file cannot be written.
    """
    file = io.BytesIO()
    figure.savefig(file, format=check_ending(path))
    write_whole(path, file.getvalue())


def plot(report) -> Figure:
    """Returns one figure with everything that is known of a search."""
    panels = _panels(report)
    rows = math.ceil(len(panels) / 2)
    heights = [_height(report, *names) for names in _pairs(list(panels))]
    with matplotlib.rc_context(_STYLE):
        figure = _figure(11, sum(heights))
        grid = figure.add_gridspec(rows, 2, height_ratios=heights)
        for at, draw in enumerate(panels.values()):
            whole = at == len(panels) - 1 and len(panels) % 2
            draw(figure.add_subplot(grid[at // 2, :] if whole else grid[at // 2, at % 2]), report)
    return figure


def separate(report) -> dict[str, Figure]:
    """Returns each panel as a figure of its own, by name."""
    found = {}
    with matplotlib.rc_context(_STYLE):
        for name, draw in _panels(report).items():
            figure = _figure(5, _height(report, name))
            draw(figure.add_subplot(), report)
            found[name] = figure
    return found


def drawings(report) -> dict[str, str]:
    """Returns each panel as an SVG element to stand in a page, in the colours of its text."""
    found = {}
    with matplotlib.rc_context(_ON_PAGE):
        for name, figure in separate(report).items():
            file = io.StringIO()
            with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
                figure.savefig(file, format="svg", metadata={"Date": None})
            text = file.getvalue()
            text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
            text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
            text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
            # Several drawings in one page: what they name must not be the same.
            text = re.sub(r'(id="|url\(#|href="#)', rf"\1{name}-", text)
            found[name] = text.replace(_INK, "currentColor")
    return found


def _panels(report) -> dict[str, Callable[[Axes, Any], None]]:
    panels = {"metric": _metric, "size": _size, "pareto": _pareto}
    if report.layers:
        panels |= {"widths": _widths, "params": _params, "flops": _flops}
    return panels


def _pairs(names: list[str]) -> list[list[str]]:
    return [names[at : at + 2] for at in range(0, len(names), 2)]


def _height(report, *names: str) -> float:
    bars = set(names) & {"widths", "params", "flops"}
    return max(3.2, 1.1 + 0.2 * min(len(report.layers), MOST_LAYERS)) if bars else 3.2


def _metric(axes: Axes, report) -> None:
    _trials(axes, report, lambda row: row.metric)
    if report.rows:
        xs = [row.trial for row in report.rows]
        sign = -1 if report.higher else 1
        best = [row.best + sign * report.eps for row in report.rows]
        axes.plot(xs, best, "--", color=LINE, linewidth=1, label="least that is accepted")
        axes.legend(fontsize="small")
    axes.set(title="Metric of each trial", xlabel="trial", ylabel=_plain(report.monitor))


def _size(axes: Axes, report) -> None:
    _trials(axes, report, lambda row: row.params)
    steps = [(one.trial, one.params) for one in report.candidates()]
    last = report.rows[-1].trial if report.rows else 0
    steps.append((last, steps[-1][1]))
    axes.plot(*zip(*steps, strict=True), drawstyle="steps-post", color=ACCEPTED, linewidth=1)
    axes.set(title="Parameters of each trial", xlabel="trial", ylabel="parameters")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_thousands)


def _trials(axes: Axes, report, value: Callable[[Any], float]) -> None:
    kinds = ((True, "o", ACCEPTED, "accepted"), (False, "x", REJECTED, "rejected"))
    for accepted, marker, color, label in kinds:
        rows = [row for row in report.rows if row.accepted == accepted]
        rows = [row for row in rows if math.isfinite(value(row))]
        points = [[row.trial for row in rows], [value(row) for row in rows]]
        axes.scatter(*points, marker=marker, color=color, s=26, label=label, zorder=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _pareto(axes: Axes, report) -> None:
    rated = [one for one in report.candidates() if _known(one.metric)]
    front = report.pareto()
    axes.scatter([one.params for one in rated], [one.metric for one in rated], color=GONE, s=22)
    points = [[one.params for one in front], [one.metric for one in front]]
    axes.plot(*points, "o-", color=LEFT, markersize=5, label="no other is better in both")
    if front:
        axes.legend(fontsize="small")
    axes.set(title="Accepted networks", xlabel="parameters", ylabel=_plain(report.monitor))
    axes.xaxis.set_major_formatter(_thousands)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _known(metric: float | None) -> bool:
    return metric is not None and math.isfinite(metric)


def _widths(axes: Axes, report) -> None:
    layers = [one for one in report.layers if one.width_before is not None]
    _bars(axes, layers, "width", "Units per layer")


def _params(axes: Axes, report) -> None:
    _bars(axes, [one for one in report.layers if one.params_before], "params", "Parameters")


def _flops(axes: Axes, report) -> None:
    _bars(axes, [one for one in report.layers if one.flops_before], "flops", "FLOPs")


def _bars(axes: Axes, layers: list[LayerFigures], figure: str, title: str) -> None:
    """One bar per layer, of what is left and what is gone."""

    def gone(one: LayerFigures) -> int:
        return getattr(one, f"{figure}_before") - getattr(one, f"{figure}_after")

    if len(layers) > MOST_LAYERS:
        chosen = sorted(layers, key=gone, reverse=True)[:MOST_LAYERS]
        layers = [one for one in layers if one in chosen]
        title += f", the {MOST_LAYERS} layers that lost most"
    places = range(len(layers))
    left = [getattr(one, f"{figure}_after") for one in layers]
    # A layer may also grow, where the search wrote it in another way.
    axes.barh(places, left, color=LEFT, label="left")
    lost = [max(gone(one), 0) for one in layers]
    axes.barh(places, lost, left=left, color=GONE, alpha=0.45, label="gone")
    axes.set_yticks(list(places), [_plain(one.name, 28) for one in layers])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(_thousands)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
    axes.set_title(title)


def _plain(name: str, most: int = 60) -> str:
    """A name as it is: a dollar sign would begin a formula."""
    short = name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-most // 2 :]}"
    return short.replace("$", r"\$")


def _thousands(value: float, _position: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"
