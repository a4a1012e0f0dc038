"""SNARE's search as a state machine: which layer to cut next, and by how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log2

from keras_snare.arguments import check_count, is_number
from keras_snare.records import GroupSize


@dataclass(frozen=True)
class Proposal:
    """One trial to make.

    Args:
        layer: str, name of the group to cut.
        share: float, share of its units to remove.
        remove: int, that share in units.
        width: int, units it has.
    """

    layer: str
    share: float
    remove: int
    width: int


class SnarePolicy:
    """Decides, trial by trial, which layer to cut by what share.

    Every layer has a score, its share of the network's neurons plus `beta` times the share of the
    parameters plus `gamma` times the share of the FLOPs that would go with it, and a step. The
    layer with the greatest score times step is cut by its step. A rejected trial halves the step;
    below `min_step` the layer leaves the search. Where half the step would remove as many units as
    were just refused, it is halved again, since that trial has been made.

    The policy knows neither Keras nor training: `propose`, then `accept` or `reject`, until
    `propose` returns None.

    Args:
        first_step: float, share of a layer that its first trial removes, 0 < first_step < 1.
        min_step: float, a layer whose step falls below leaves the search.
        beta: float, weight of the parameters.
        gamma: float, weight of the FLOPs.
        max_trials: int or None, trials after which the search ends.
        round_to: int or None, widths stay multiples of it.

    Raises:
        ValueError: when a number is out of its range.

    Example:

    >>> policy = SnarePolicy()
    >>> sizes = {"wide": GroupSize(100, 5000, 9000), "narrow": GroupSize(10, 500, 900)}
    >>> policy.propose(sizes, GroupSize(120, 6000, 10000))
    Proposal(layer='wide', share=0.64, remove=64, width=100)

    Reference:
        Viehmann, master thesis, KIT 2020 (chapter 5).
    """

    def __init__(
        self,
        *,
        first_step: float = 0.64,
        min_step: float = 0.08,
        beta: float = 1.0,
        gamma: float = 1.0,
        max_trials: int | None = None,
        round_to: int | None = None,
    ) -> None:
        _check(first_step, min_step, beta, gamma, max_trials, round_to)
        # As plain numbers, which reports and stored runs can hold.
        self.first_step = float(first_step)
        self.min_step = float(min_step)
        self.beta = float(beta)
        self.gamma = float(gamma)
        self.max_trials = max_trials
        self.round_to = int(round_to or 1)
        self.steps: dict[str, float] = {}
        self.trials = 0
        self.pending: Proposal | None = None
        self._sizes: dict[str, GroupSize] = {}

    def propose(self, sizes: Mapping[str, GroupSize], total: GroupSize) -> Proposal | None:
        """Returns the next trial, or None when the search is over.

        Args:
            sizes: the prunable groups as they are now.
            total: the whole network: all units, parameters, FLOPs.
        """
        if self.pending is not None:
            raise RuntimeError("The last proposal was neither accepted nor rejected.")
        if self.max_trials is not None and self.trials >= self.max_trials:
            return None
        self._sizes = dict(sizes)
        best, best_value = None, 0.0
        for layer, size in sizes.items():
            step = self.steps.setdefault(layer, self.first_step)
            value = self.score(size, total) * step
            remove = self.units_to_remove(size, step)
            if step >= self.min_step and remove and (best is None or value > best_value):
                best, best_value = Proposal(layer, step, remove, size.width), value
        self.pending = best
        self.trials += best is not None
        return best

    def score(self, size: GroupSize, total: GroupSize) -> float:
        """Returns what a layer weighs in the network (formulas 5.3 to 5.5 of the thesis)."""
        return (
            size.width / max(total.width, 1)
            + self.beta * size.params / max(total.params, 1)
            + self.gamma * size.flops / max(total.flops, 1)
        )

    def units_to_remove(self, size: GroupSize, step: float) -> int:
        """Returns how many units a step removes: one at least, where one may go."""
        most = size.width - 1 if size.removable is None else size.removable
        keep = size.width - min(max(1, int(step * size.width + 1e-9)), most)
        keep = ceil(keep / self.round_to) * self.round_to
        return max(size.width - keep, 0)

    def accept(self) -> None:
        """The proposal was carried out for good."""
        self._settle()

    def reject(self) -> None:
        """The proposal was undone."""
        refused = self._settle()
        step, size = refused.share / 2, self._sizes[refused.layer]
        while step >= self.min_step and self.units_to_remove(size, step) >= refused.remove:
            step /= 2
        self.steps[refused.layer] = step

    def progress(self) -> float:
        """Returns how much of the search is behind it, at least: it never becomes less.

        A layer's share is that of its steps that were refused; all of it where nothing can be
        removed any more.
        """
        if not self.steps:
            return 0.0
        levels = floor(log2(self.first_step / self.min_step) + 1e-9) + 1
        gone = []
        for layer, step in self.steps.items():
            size = self._sizes.get(layer)
            over = size is not None and not self.units_to_remove(size, step)
            refused = log2(self.first_step / step) / levels
            gone.append(1.0 if over or step < self.min_step else min(refused, 1.0))
        share = sum(gone) / len(gone)
        if self.max_trials is not None:
            share = max(share, min(self.trials / self.max_trials, 1.0))
        return share

    def state(self) -> dict:
        """Returns how far the search is, as plain data for `resume`."""
        return {"steps": dict(self.steps), "trials": self.trials}

    def resume(self, state: Mapping) -> None:
        """Goes on where `state` was taken."""
        self.steps, self.trials = dict(state["steps"]), state["trials"]

    def _settle(self) -> Proposal:
        if self.pending is None:
            raise RuntimeError("There is no proposal to accept or reject; call propose() first.")
        settled, self.pending = self.pending, None
        return settled


def _check(first_step, min_step, beta, gamma, max_trials, round_to) -> None:
    if not is_number(first_step) or not 0 < first_step < 1:
        raise ValueError(f"`first_step` lies between 0 and 1. Received: first_step={first_step!r}")
    if not is_number(min_step) or not 0 < min_step <= first_step:
        raise ValueError(
            f"`min_step` lies between 0 and first_step={first_step}. Received: "
            f"min_step={min_step!r}"
        )
    for name, weight in (("beta", beta), ("gamma", gamma)):
        if not is_number(weight) or not 0 <= weight < float("inf"):
            raise ValueError(f"`{name}` is a number, 0 or more. Received: {name}={weight!r}")
    for name, count in (("max_trials", max_trials), ("round_to", round_to)):
        check_count(name, count, optional=True)
