"""The lines that a search prints."""

import math

from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport
from keras_snare.search import Objective, Trial


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
