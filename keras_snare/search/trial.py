"""One trial of a search: a cut on a live model, until the verdict."""

from dataclasses import dataclass, field
from typing import Any

from keras_snare.graph import ChannelGroups
from keras_snare.policy import Proposal
from keras_snare.records import PrunePlan, TrialRow
from keras_snare.surgery import Snapshot

ACCEPTED = "accepted"


@dataclass(eq=False)
class Trial:
    """A cut that is not yet accepted.

    Args:
        proposal: what the policy asked for.
        width: int, units that the layer has with the cut.
        snapshot: the model before it.
        totals: what was being collected before it.
        groups: the channel groups before it.
        plan: the cut.
        params, flops: of the model with the cut.
        metrics: the monitored metric after each epoch of retraining so far.
    """

    proposal: Proposal
    width: int
    snapshot: Snapshot
    totals: Any
    groups: ChannelGroups
    plan: PrunePlan
    params: int = 0
    flops: int = 0
    metrics: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Epochs of retraining so far."""
        return len(self.metrics)

    def row(self, number: int, epoch: int, metric: float, best: float, reason: str) -> TrialRow:
        """Returns what is reported of the trial.

        Args:
            number: int, counted from 1.
            epoch: int, epochs of training so far.
            metric: float, that the verdict fell on.
            best: float, the best metric before.
            reason: the verdict in words.
        """
        return TrialRow(
            trial=number,
            epoch=epoch,
            layer=self.proposal.layer,
            width_before=self.proposal.width,
            width_after=self.width,
            share=self.proposal.share,
            epochs=self.epochs,
            metric=metric,
            best=best,
            accepted=reason == ACCEPTED,
            params=self.params,
            flops=self.flops,
            reason=reason,
            metrics=self.metrics,
        )
