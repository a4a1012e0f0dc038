"""One `fit` in which units are removed on a schedule."""

from typing import Any

import numpy as np

from keras_snare.callbacks.pruning_checks import unit_criterion
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.callbacks.scored_run import ScoredRun
from keras_snare.graph import ChannelGroup, model_cost
from keras_snare.policy import in_rounds, lowest, one_shot, select_groups
from keras_snare.records import PrunePlan, PruneReport, WidthChange
from keras_snare.surgery import plan_for, remove


class UnitRun(ScoredRun):
    """Removes units up to a share of those that there were.

    Args:
        settings: the callback.
        fit: the running `fit`.
    """

    def __init__(self, settings: Any, fit: RunningFit | None) -> None:
        super().__init__(settings, unit_criterion(settings.criterion))
        self.before = model_cost(self.groups)
        chosen = select_groups(self.groups, settings.layers)
        self.widths = {group.name: group.width for group in chosen}
        self.plan = PrunePlan({})
        self._watch(fit)

    def update(self, sparsity: float, _progress: float) -> bool:
        """Removes units up to a share; returns False where nothing was scored to remove by.

        Without a step to score by, as when each overflows, it is left to the next update.
        """
        if not self._source.ready:
            return False
        self._remove(self._removed(sparsity))
        self._source.epoch_began()
        return True

    def update_in_rounds(self, sparsity: float, rounds: int) -> None:
        """Removes units up to a share, chosen in rounds by a criterion that needs no training."""
        criterion = self._source.criterion
        removed = in_rounds(
            self.model,
            self.groups,
            self._chosen(),
            sparsity,
            criterion,
            rounds=rounds,
            scope="local" if self.settings.scope == "layer" else "global",
            # What flows through one layer is what flows through the next.
            normalize="none" if criterion.needs == "network" else "rms",
            data=self._source.data,
        )
        self._remove(removed)

    def _remove(self, removed: np.ndarray) -> None:
        if removed.size:
            twins = self._source.twins(self._chosen(), removed)
            self.plan = self.plan.then(plan_for(self.groups, removed))
            remove(self.model, self.groups, removed, twins=twins)
            self._follow()

    def logs(self) -> dict[str, float]:
        """Returns the share of units that is gone, in all and by layer, and the cost.

        Raises:
            UnsupportedModelError: when the criterion listens to a training step that it cannot.
        """
        self._source.epoch_ended()
        now = {name: self.groups[name].width for name in self.widths}
        share = 1 - sum(now.values()) / sum(self.widths.values())
        by_layer = {f"sparsity_{name}": 1 - now[name] / was for name, was in self.widths.items()}
        cost = model_cost(self.groups)
        return {
            "sparsity": share,
            **by_layer,
            "snare_params": cost.params,
            "snare_flops": cost.flops,
        }

    def end(self) -> tuple[None, PruneReport]:
        """Returns what was removed."""
        self.tidy_up()
        after = model_cost(self.groups)
        now = {name: self.groups[name].width for name in self.widths}
        changes = tuple(
            WidthChange(name, was, now[name])
            for name, was in self.widths.items()
            if now[name] < was
        )
        before = self.before
        report = PruneReport(
            changes, before.params, after.params, before.flops, after.flops, self.plan
        )
        return None, report

    def _chosen(self) -> list[ChannelGroup]:
        return [group for group in self.groups if group.name in self.widths]

    def _removed(self, sparsity: float) -> np.ndarray:
        """The units with the lowest scores, of those that have to go."""
        chosen = [group for group in self._chosen() if group.prunable]
        left = {
            group.name: int(sparsity * self.widths[group.name] + 1e-9)
            - (self.widths[group.name] - group.width)
            for group in chosen
        }
        total = int(sparsity * sum(self.widths.values()) + 1e-9)
        total -= sum(self.widths.values()) - sum(group.width for group in self._chosen())
        if total <= 0 or not chosen:
            return np.array([], dtype=np.int64)
        scores = self._source.scores(self.groups, chosen, self._source.collected())
        if self.settings.scope == "global":
            share = total / sum(group.width for group in chosen)
            return one_shot(chosen, scores, min(share, 1.0), "global")
        parts = [lowest(group, scores[group.name], max(left[group.name], 0)) for group in chosen]
        return np.concatenate(parts)
