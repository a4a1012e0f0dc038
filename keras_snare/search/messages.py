"""The lines that a search prints."""

import logging
import math
from collections.abc import Callable

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport
from keras_snare.search.metric import Objective
from keras_snare.search.trial import Trial


class Teller:
    """Prints lines among those of `fit`; with `verbose=0` they go to `logging`.

    Args:
        verbose: 0, 1, 2, or `"auto"` to go by `fit`.
        params: what `fit` tells its callbacks.
        on_trial: called with each judged `TrialRow`, or None.
    """

    def __init__(
        self,
        verbose: int | str,
        params: dict,
        on_trial: Callable[[TrialRow], None] | None = None,
    ) -> None:
        self._on_trial = on_trial
        by_fit = 1 if params.get("verbose", 1) else 0
        self._level = by_fit if isinstance(verbose, str) else verbose
        self._has_bar = params.get("verbose", 0) in (1, "auto")
        self._bar = False

    def epoch_began(self) -> None:
        """A progress bar may be under way from here on."""
        self._bar = self._has_bar

    def quiet(self) -> None:
        """The progress bar has ended its line."""
        self._bar = False

    def trial(self, row: TrialRow, objective: Objective, progress: float | None) -> None:
        """Tells of a verdict, and how far the search is if that is known."""
        self.say(1, judged(row, objective))
        if progress is not None:
            self._show(progress)
        if self._on_trial is not None:
            self._on_trial(row)

    def say(self, level: int, text: str) -> None:
        """Prints a line from a level of `verbose` on."""
        if self._level == 0:
            logging.getLogger("keras_snare").info(text)
        if self._level >= level:
            print(f"\n{text}" if self._bar else text, flush=True)
            self._bar = False

    def _show(self, share: float) -> None:
        """Shows on a terminal, or in a notebook, how far the search is."""
        console = Console()
        if self._level and (console.is_terminal or console.is_jupyter):
            share = min(max(share, 0.0), 1.0)
            line = Table.grid(padding=(0, 1))
            bar = ProgressBar(total=1.0, completed=share, width=40)
            line.add_row("Search", bar, f"{share:.0%}")
            console.print(line)


def begun(epoch: int, trial: Trial, report: CompressionReport) -> str:
    """A trial begins."""
    proposal = trial.proposal
    return (
        f"Epoch {epoch}: trial {len(report.rows) + 1} begins: {proposal.layer} "
        f"{proposal.width} -> {trial.width}, parameters {trial.params:,}, "
        "training on"
    )


def judged(row: TrialRow, objective: Objective) -> str:
    """A trial is judged."""
    retrained = {0: "without retraining", 1: "after 1 epoch"}.get(
        row.epochs, f"after {row.epochs} epochs"
    )
    metric = "unknown" if math.isnan(row.metric) else f"{row.metric:.4f}"
    return (
        f"Epoch {row.epoch}: trial {row.trial}: {row.layer} {row.width_before} -> "
        f"{row.width_after} - {objective.monitor}: {metric} (best {row.best:.4f}, eps "
        f"{objective.eps:g}) - parameters: {row.params:,} - {row.reason} {retrained}"
    )


def resumed(epoch: int, report: CompressionReport | None, directory) -> str:
    """A stored run is taken up."""
    if report is None:
        return f"Epoch {epoch}: resumed from {directory}, in the warm-up"
    return (
        f"Epoch {epoch}: resumed from {directory}: {len(report.rows)} trials, {report.accepted} "
        f"accepted, parameters {report.params_after:,}"
    )


def sent(epoch: int, name: str) -> str:
    """A trial is sent to a worker."""
    return f"Epoch {epoch}: {name} sent to a worker"
