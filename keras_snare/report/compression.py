"""What a search did, for people and for programs."""

import importlib
import json
import math
import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rich.table import Table

from keras_snare._optional import require
from keras_snare.files import write_whole
from keras_snare.graph.cost import rendered
from keras_snare.records import Ratios, TrialRow
from keras_snare.report.figures import check_types, finite
from keras_snare.report.layers import LayerFigures
from keras_snare.report.page import page


@dataclass(frozen=True)
class Candidate:
    """One accepted network of a search.

    Args:
        number: int, 0 for the network that the search began with; `load_candidate` takes it.
        trial: int, the trial that it came from, 0 for none.
        metric: float or None, its monitored metric.
        params, flops: int, its parameters, and operations for one example.
    """

    number: int
    trial: int
    metric: float | None
    params: int
    flops: int


@dataclass
class CompressionReport(Ratios):
    """The course and the result of a search; `summary()` is for reading, `to_json()` for tools.

    Args:
        monitor: str, the metric that decided.
        eps: float, accepted loss of it.
        rows: one `TrialRow` per trial that was judged.
        params_before, params_after: int, parameters of the model.
        flops_before, flops_after: int, floating-point operations for one example.
        baseline: float or None, the metric before the first cut.
        best: float or None, the best metric seen.
        metric: float or None, the metric of the model as it was left.
        retraining_epochs: int, epochs of `fit` that went into trials.
        finished: bool, whether the search came to its end by itself.
        higher: bool, whether a higher metric is better.
        layers: one `LayerFigures` per layer, before and after; empty in reports that were stored
            without them.
    """

    monitor: str
    eps: float
    params_before: int
    flops_before: int
    params_after: int
    flops_after: int
    rows: list[TrialRow] = field(default_factory=list)
    baseline: float | None = None
    best: float | None = None
    metric: float | None = None
    retraining_epochs: int = 0
    finished: bool = False
    higher: bool = True
    layers: list[LayerFigures] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Number of accepted trials."""
        return sum(row.accepted for row in self.rows)

    def candidates(self) -> list[Candidate]:
        """Returns the network that the search began with, and every one that it accepted."""
        found = [Candidate(0, 0, self.baseline, self.params_before, self.flops_before)]
        for row in self.rows:
            if row.accepted:
                found.append(Candidate(len(found), row.trial, row.metric, row.params, row.flops))
        return found

    def pareto(self, cost: str = "params") -> list[Candidate]:
        """Returns the accepted networks that no other beats in both metric and cost.

        Args:
            cost: `"params"` or `"flops"`.

        Returns:
            Candidates from the cheapest to the best.

        Raises:
            ValueError: for another cost.
        """
        if cost not in ("params", "flops"):
            raise ValueError(f"`cost` is 'params' or 'flops'. Received: cost={cost!r}")
        sign, found, best = 1 if self.higher else -1, [], -math.inf
        rated = [
            (getattr(one, cost), -sign * one.metric, one)
            for one in self.candidates()
            if one.metric is not None and math.isfinite(one.metric)
        ]
        for _, loss, one in sorted(rated, key=lambda entry: entry[:2]):
            if -loss > best:
                best = -loss
                found.append(one)
        return found

    def summary(self) -> str:
        """Returns the trials as a table, and the result below it."""
        table = Table()
        columns = (
            "trial",
            "epoch",
            "layer",
            "width",
            "epochs",
            self.monitor,
            "parameters",
            "FLOPs",
        )
        for name in columns:
            table.add_column(name, justify="left" if name == "layer" else "right")
        table.add_column("verdict")
        for row in self.rows:
            table.add_row(
                str(row.trial),
                str(row.epoch),
                row.layer,
                f"{row.width_before} -> {row.width_after}",
                str(row.epochs),
                f"{row.metric:.4f}",
                f"{row.params:,}",
                f"{row.flops:,}",
                row.reason,
            )
        return f"{rendered(table)}\n{self._result()}"

    def pareto_table(self) -> str:
        """Returns the networks of both fronts as a table, the cheapest first."""
        fronts = {cost: self.pareto(cost) for cost in ("params", "flops")}
        table = Table()
        for name in ("candidate", "trial", self.monitor, "parameters", "FLOPs"):
            table.add_column(name, justify="right")
        table.add_column("best for its")
        for one in sorted(self.candidates(), key=lambda one: one.params):
            names = {"params": "parameters", "flops": "FLOPs"}
            best = [names[cost] for cost, front in fronts.items() if one in front]
            if best:
                figures = (one.number, one.trial, f"{one.metric:.4f}")
                costs = (f"{one.params:,}", f"{one.flops:,}")
                table.add_row(*map(str, figures), *costs, ", ".join(best))
        return rendered(table)

    def _result(self) -> str:
        def figure(value):
            return "unknown" if value is None else f"{value:.4f}"

        end = "The search is finished." if self.finished else "Training ended before the search."
        return (
            f"Parameters {self.params_before:,} -> {self.params_after:,} "
            f"({self.params_ratio:.2f} times fewer), FLOPs {self.flops_before:,} -> "
            f"{self.flops_after:,} ({self.flops_ratio:.2f} times fewer)\n"
            f"{self.monitor} {figure(self.metric)}, best seen {figure(self.best)}, "
            f"accepted loss {self.eps:g}\n"
            f"{self.accepted} of {len(self.rows)} trials accepted, {self.retraining_epochs} epochs "
            f"of retraining. {end}"
        )

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draws the search: metric and parameters per trial, accepted networks, widths and costs.

        Args:
            path: path or None, where to write the figure; its ending says in which format.

        Returns:
            A `matplotlib.figure.Figure`, which notebooks show. What is drawn of the layers is left
            out where a stored report does not know them.

        Raises:
            ImportError: when matplotlib is missing (`pip install keras-snare[plot]`).
            ValueError: when the ending of the path is that of no format.
            OSError: when the file cannot be written; what was there stays.

        Example:

        >>> report.plot("search.png")
        """
        drawing = _drawing()
        if path is not None:
            drawing.check_ending(path)
        figure = drawing.plot(self)
        if path is not None:
            drawing.written(figure, path)
        return figure

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes one page with the figures and with tables that can be sorted; it needs no network.

        Args:
            path: path, such as `"report.html"`.

        Raises:
            ImportError: when matplotlib is missing (`pip install keras-snare[plot]`).
            OSError: when the file cannot be written.

        Example:

        >>> report.to_html("report.html")
        """
        text = page(self, _drawing().drawings(self))
        write_whole(path, text.encode())

    def to_json(self) -> str:
        """Returns every figure as a JSON object; what is not finite is null, as JSON has it."""
        ratios = {"params_ratio": self.params_ratio, "flops_ratio": self.flops_ratio}
        figures = finite({**asdict(self), **ratios})
        rows = [finite(asdict(row)) for row in self.rows]
        fronts = {
            f"pareto_{cost}": [one.number for one in self.pareto(cost)]
            for cost in ("params", "flops")
        }
        return json.dumps({**figures, **fronts, "rows": rows}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "CompressionReport":
        """Reads a report that `to_json` wrote.

        Raises:
            ValueError: when the text is not such a report.
        """
        names = {one.name for one in fields(cls)}
        try:
            figures: dict[str, Any] = json.loads(text)
            rows = [TrialRow(**_with_nan(row)) for row in figures.pop("rows")]
            layers = [LayerFigures(**one) for one in figures.pop("layers", [])]
            known = {name: one for name, one in figures.items() if name in names}
            report = cls(**known, rows=rows, layers=layers)
            for record in (report, *rows, *layers):
                check_types(record)
            return report
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                "A stored report is a JSON object, as CompressionReport.to_json writes it. "
                f"Received: {text!r:.80} ({type(error).__name__}: {error})"
            ) from error


def _drawing() -> Any:
    require("matplotlib", "plot", "Figures of a report")
    return importlib.import_module("keras_snare.report.plots")


def _with_nan(figures: dict[str, Any]) -> dict[str, Any]:
    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(entry) for entry in value]
        return math.nan if value is None else value

    # A row that has no list of metrics is told by its type.
    return {
        name: value if name == "metrics" and value is None else one(value)
        for name, value in figures.items()
    }
