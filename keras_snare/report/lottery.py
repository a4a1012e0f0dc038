"""What the rounds of `LotteryTicketCallback` came to, for people and for programs."""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rich.table import Table

from keras_snare.graph.cost import rendered
from keras_snare.report.figures import check_types, finite


@dataclass(frozen=True)
class RoundRow:
    """One round: a training of a network that is sparser than the one before.

    Args:
        round: int, 0 for the whole network.
        sparsity: float, share of the connections that are pruned.
        kept: int, connections that are kept.
        epochs: int, epochs that the round was trained for.
        best, final: float or None, the best and the last value of the monitored metric; None where
            there was none.
        lowest_loss: float or None, the lowest loss at the end of an epoch, on the validation data
            if there are any.
        lowest_loss_epoch: int or None, the epoch of the round (counted from 1) that had it.
        lowest_loss_iteration: int or None, updates of the weights from the beginning of the
            training up to there, those before the point of rewinding among them.
        metric_at_lowest_loss: float or None, the monitored metric of that epoch.
    """

    round: int
    sparsity: float
    kept: int
    epochs: int = 0
    best: float | None = None
    final: float | None = None
    lowest_loss: float | None = None
    lowest_loss_epoch: int | None = None
    lowest_loss_iteration: int | None = None
    metric_at_lowest_loss: float | None = None


@dataclass
class LotteryReport:
    """The course of iterative pruning; `summary()` is for reading, `to_json()` for tools.

    Args:
        monitor: str, the metric that is reported.
        connections: int, connections of the kernels that are pruned.
        rounds: int, rounds of pruning that were asked for.
        control: str or None, what the last round trained instead of its ticket.
        rows: one `RoundRow` per round that was trained, the whole network first.
        finished: bool, whether the last round was trained to its end.
    """

    monitor: str
    connections: int
    rounds: int
    control: str | None = None
    rows: list[RoundRow] = field(default_factory=list)
    finished: bool = False

    def summary(self) -> str:
        """Returns the rounds as a table."""
        table = Table()
        columns = ("round", "left", "connections", "epochs", f"best {self.monitor}", "final")
        for name in (*columns, "lowest loss", "in epoch", "iteration"):
            table.add_column(name, justify="right")
        for row in self.rows:
            table.add_row(
                str(row.round),
                f"{100 * (1 - row.sparsity):.1f} %",
                f"{row.kept:,}",
                str(row.epochs),
                *map(_figure, (row.best, row.final, row.lowest_loss)),
                str(row.lowest_loss_epoch or "-"),
                str(row.lowest_loss_iteration or "-"),
            )
        end = f"{max(len(self.rows) - 1, 0)} of {self.rounds} rounds of pruning were trained"
        control = f"; the last one trained a control, {self.control}" if self.control else ""
        unfinished = "" if self.finished else ", the last of them not to its end"
        return f"{rendered(table)}\n{end}{unfinished}{control if self.finished else ''}."

    def to_json(self) -> str:
        """Returns every figure as a JSON object; what is not finite is null, as JSON has it."""
        rows = [finite(asdict(row)) for row in self.rows]
        return json.dumps({**asdict(self), "rows": rows}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "LotteryReport":
        """Reads a report that `to_json` wrote.

        Raises:
            ValueError: when the text is not such a report.
        """
        names = {one.name for one in fields(cls)}
        try:
            figures: dict[str, Any] = json.loads(text)
            rows = [RoundRow(**row) for row in figures.pop("rows")]
            known = {name: one for name, one in figures.items() if name in names}
            report = cls(**known, rows=rows)
            for record in (report, *rows):
                check_types(record)
            return report
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                "A stored report is a JSON object, as LotteryReport.to_json writes it. "
                f"Received: {text!r:.80} ({type(error).__name__}: {error})"
            ) from error


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
