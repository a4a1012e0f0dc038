"""A search on a live model: cut, judge, keep or undo. `fit` or another driver trains in between."""

import gc
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_snare.graph import ChannelGroup, ChannelGroups, channel_groups, group_sizes, model_cost
from keras_snare.policy import Recovery, SnarePolicy, lowest, matching_groups
from keras_snare.records import GroupSize, PrunePlan, TrialRow
from keras_snare.report import CompressionReport, figures_after, layer_figures
from keras_snare.search.block_training import BlockTraining
from keras_snare.search.metric import Objective
from keras_snare.search.scores import ScoreSource, Statistics
from keras_snare.search.trial import ACCEPTED, Trial
from keras_snare.surgery import Compensation, Snapshot, plan_for, remove

UNDONE = "undone: training ended before the verdict"


class SnareSearch:
    """Drives a policy on a model, one trial at a time.

    `begin` with the metric of the trained model; `advance` makes the next cut; after every epoch of
    training `judge` keeps the cut, undoes it, or asks for more. The driver trains.

    Args:
        model: the model, compiled.
        policy: decides what to cut.
        source: gives the scores.
        objective: what must not be lost.
        retrain_epochs: int, epochs after which a trial is rejected.
        layers: which layers may be cut, as `SnareCallback` takes them.
        evaluate: returns the metric of the model as it is, or None where that is not to be had.
        tell: called with each judged `TrialRow`.
        compensation: what readers of the units that a trial removes are given for them.
        blocks: trains the layers around a cut, after which the verdict falls, in the place of
            epochs of the driver's; or None.
        recovery: says which trials are hopeless, or None to train each as long as it may take.
        prepare: called before a cut with the groups, and that which is to be cut; may write the
            same network in other weights, and returns what undoes that.
    """

    def __init__(
        self,
        model: keras.Model,
        policy: SnarePolicy,
        source: ScoreSource,
        objective: Objective,
        *,
        retrain_epochs: int,
        layers: Any,
        evaluate: Callable[[], float | None],
        tell: Callable[[TrialRow], None],
        compensation: Compensation | None = None,
        blocks: BlockTraining | None = None,
        recovery: Recovery | None = None,
        prepare: Callable[[ChannelGroups, ChannelGroup], Snapshot] | None = None,
    ) -> None:
        self.model = model
        self.policy = policy
        self.source = source
        self.objective = objective
        self.retrain_epochs = retrain_epochs
        self.layers = layers
        self.evaluate = evaluate
        self.tell = tell
        self.compensation = compensation
        self.blocks = blocks
        self.recovery = recovery
        self.prepare = prepare
        self.trial: Trial | None = None
        self.best = self.metric = math.nan
        self.done = False
        self.statistics: Statistics = None
        self.plan = PrunePlan({})
        self.groups = channel_groups(model)
        self.cost = model_cost(self.groups)
        self.report = CompressionReport(
            objective.monitor,
            objective.eps,
            self.cost.params,
            self.cost.flops,
            self.cost.params,
            self.cost.flops,
            higher=objective.higher,
            layers=layer_figures(self.groups, self.cost),
        )

    def begin(self, metric: float, statistics: Statistics) -> None:
        """Takes the model as it is for the reference."""
        self.report.baseline = self.best = metric
        self.left_with(metric)
        self.statistics = statistics

    def resume(
        self, report: CompressionReport, policy: dict, plan: PrunePlan, statistics: Statistics
    ) -> None:
        """Goes on with what an earlier search left; the model has been cut by `plan`.

        Args:
            report: of the search so far, at least begun.
            policy: what `SnarePolicy.state` returned.
            plan: what was cut since the base.
            statistics: what the scores of the next cut come from.
        """
        self.policy.resume(policy)
        self.report, self.plan, self.statistics = report, plan, statistics
        self.best, self.metric = (
            math.nan if figure is None else figure for figure in (report.best, report.metric)
        )
        self.done = report.finished
        for row in report.rows:
            if self.recovery and row.accepted:
                self.recovery.note(self._losses(row.metrics, row.best))
        self._look_again()

    def advance(self, epoch: int) -> None:
        """Makes the next cut; those that need no retraining are accepted on the way.

        Args:
            epoch: int, for the report.
        """
        while self.trial is None and not self.done:
            self._cut()
            if self.trial is None:
                return
            metric = self.evaluate()
            if metric is not None and self.objective.passes(metric, self.best):
                self._accept(epoch, metric, self._sliced())
            elif self.blocks is not None:
                assert metric is not None, "blocks are trained where evaluation is at hand"
                self._reject(epoch, metric, "rejected after training of its block,")

    def judge(self, epoch: int, metric: float, loss: float | None) -> None:
        """Judges the trial under way after an epoch of retraining.

        Args:
            epoch: int, for the report.
            metric: float, the monitored metric after the epoch.
            loss: float or None, the training loss of the epoch.
        """
        trial = self._running()
        trial.metrics.append(metric)
        self.report.retraining_epochs += 1
        if not math.isfinite(metric) or (loss is not None and not math.isfinite(loss)):
            self._reject(epoch, metric, "rejected: the loss or the metric is not finite")
        elif self.objective.passes(metric, self.best):
            self._accept(epoch, metric, self.source.collected())
        elif trial.epochs >= self.retrain_epochs:
            self._reject(epoch, metric, "rejected")
        elif self.recovery and self.recovery.hopeless(
            self._losses(trial.metrics), self.objective.eps
        ):
            self._reject(epoch, metric, "rejected early, too far from what was won back before,")

    def adopt(self, row: TrialRow, plan: PrunePlan | None, statistics: Statistics) -> None:
        """Takes over a trial that was made elsewhere, on this network.

        Args:
            row: of the trial, which is the policy's next.
            plan: what it cut. The model has been cut by it, and has its values. None where the
                trial was rejected.
            statistics: what the scores of the next cut come from, if it was accepted.
        """
        gc.collect()  # As before a cut of our own.
        self.policy.propose(*self.sizes())
        self.report.retraining_epochs += row.epochs
        if plan is None:
            self.policy.reject()
            self._close(row)
            return
        self._look_again()
        self.source.follow(self._chosen())
        self._settle(row, plan, statistics)

    def _losses(self, metrics: list[float], best: float | None = None) -> list[float]:
        best = self.best if best is None else best
        return [self.objective.loss(one, best) for one in metrics]

    def left_with(self, metric: float) -> None:
        """Notes the metric of the model that is kept as things stand."""
        self.metric = self.report.metric = metric
        self.best = self.report.best = self.objective.better(metric, self.best)

    def abandon(self, epoch: int) -> None:
        """Undoes a trial that cannot be judged any more; the last accepted model stays."""
        if self.trial is not None:
            self._reject(epoch, math.nan, UNDONE)

    def sizes(self) -> tuple[dict[str, GroupSize], GroupSize]:
        """What the policy decides on: the groups that may be cut, and the whole network."""
        chosen = {group.name for group in self._chosen()}
        sizes = {name: size for name, size in group_sizes(self.groups).items() if name in chosen}
        units = sum(group.width for group in self.groups)
        return sizes, GroupSize(units, self.cost.params, self.cost.flops)

    def _chosen(self) -> list[ChannelGroup]:
        return matching_groups(self.groups, self.layers)

    def _cut(self) -> None:
        gc.collect()  # What the trial before held is in cycles.
        proposal = self.policy.propose(*self.sizes())
        if proposal is None:
            self.done = self.report.finished = True
            return
        group = self.groups[proposal.layer]
        prepared = self.prepare and self.prepare(self.groups, group)
        before, totals = self.groups, self.source.totals
        try:
            scores = self.source.scores(self.groups, [group], self.statistics)
            removed = lowest(group, scores[group.name], proposal.remove)
            twins = self.source.twins([group], removed)
            block = self.blocks and self.blocks.before(before, group, removed)
            snapshot = remove(
                self.model, before, removed, twins=twins, compensation=self.compensation
            )
        except BaseException:
            if prepared:
                prepared.restore()
            raise
        width = proposal.width - len(removed)
        plan = plan_for(before, removed)
        snapshot = prepared or snapshot
        self.trial = trial = Trial(proposal, width, snapshot, totals, before, plan)
        self._look_again()
        trial.params, trial.flops = self.cost.params, self.cost.flops
        self.source.follow(self._chosen())
        self._stayed = {one.name: ~np.isin(one.roots, removed) for one in before}
        if block is not None:
            block.train(self.groups)

    def _running(self) -> Trial:
        assert self.trial is not None, "a verdict needs a trial"
        return self.trial

    def _look_again(self) -> None:
        self.groups = channel_groups(self.model)
        self.cost = model_cost(self.groups)

    def _sliced(self) -> Statistics:
        if self.statistics is None:
            return None
        return {name: found[self._stayed[name]] for name, found in self.statistics.items()}

    def _accept(self, epoch: int, metric: float, statistics: Statistics) -> None:
        trial = self._running()
        self.trial = None
        row = trial.row(self._next(), epoch, metric, self.best, ACCEPTED)
        self._settle(row, trial.plan, statistics)

    def _reject(self, epoch: int, metric: float, reason: str) -> None:
        trial = self._running()
        trial.snapshot.restore()
        self.groups = trial.groups
        self.cost = model_cost(self.groups)
        self.source.put_back(trial.totals)
        self.policy.reject()
        self.trial = None
        self._close(trial.row(self._next(), epoch, metric, self.best, reason))

    def _settle(self, row: TrialRow, plan: PrunePlan, statistics: Statistics) -> None:
        """The model is that of an accepted trial."""
        self.policy.accept()
        if self.recovery:
            self.recovery.note(self._losses(row.metrics))
        self.plan = self.plan.then(plan)
        self.statistics = statistics
        self.left_with(row.metric)
        report = self.report
        report.params_after, report.flops_after = row.params, row.flops
        report.layers = figures_after(report.layers, self.groups, self.cost)
        self._close(row)

    def _next(self) -> int:
        return len(self.report.rows) + 1

    def _close(self, row: TrialRow) -> None:
        self.report.rows.append(row)
        self.tell(row)
