"""Plain data that travels between the packages."""

import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from keras_snare.errors import InvalidPlanError


def _index(value) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{value} is no index; np.flatnonzero(mask) turns a mask into indices")
    return operator.index(value)


def _indices(layer: str, keep: Iterable[int]) -> tuple[int, ...]:
    if isinstance(keep, (str, bytes, Mapping)) or not isinstance(keep, Iterable):
        raise InvalidPlanError(
            f"A plan names the unit indices to keep of each layer. Received for layer {layer!r}: "
            f"{keep!r}. Give a list of integers."
        )
    try:
        indices = [_index(index) for index in keep]
    except TypeError as error:
        raise InvalidPlanError(
            f"Unit indices are integers. Received for layer {layer!r}: {error}."
        ) from None
    if len(set(indices)) != len(indices):
        raise InvalidPlanError(
            f"Each unit index may stand once in a plan. Received for layer {layer!r}: repeated "
            "indices. Remove the repetitions."
        )
    return tuple(sorted(indices))


@dataclass(frozen=True)
class PrunePlan:
    """What to keep: layer name to the indices of its output units that stay.

    Layers that are not named stay whole, except where they are coupled to a named one.

    Args:
        keep: mapping from the name of a layer to the indices of the units or filters to keep.

    Raises:
        InvalidPlanError: when `keep` is not a mapping of names to distinct integers.

    Example:

    >>> PrunePlan({"conv1": [4, 0]}).to_json()
    '{"keep": {"conv1": [0, 4]}}'
    """

    keep: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        if not isinstance(self.keep, Mapping):
            raise InvalidPlanError(
                "A plan is a mapping from layer names to the unit indices to keep. "
                f"Received: {self.keep!r}"
            )
        keep = {str(name): _indices(str(name), indices) for name, indices in self.keep.items()}
        object.__setattr__(self, "keep", keep)

    def then(self, later: "PrunePlan | Mapping[str, Any]") -> "PrunePlan":
        """Returns the plan that does both, one after the other, if each names every layer it cuts.

        Args:
            later: a plan for the model that this one leaves, or what it keeps.

        Raises:
            InvalidPlanError: when `later` is no plan, or keeps units that this plan removes.

        Example:

        >>> PrunePlan({"conv1": [0, 2, 5]}).then(PrunePlan({"conv1": [1, 2]})).keep
        {'conv1': (2, 5)}
        """
        later = later if isinstance(later, PrunePlan) else PrunePlan(later)
        stayed = dict(self.keep)
        for layer, kept in later.keep.items():
            units = self.keep.get(layer)
            if units is not None and kept and not 0 <= kept[0] <= kept[-1] < len(units):
                raise InvalidPlanError(
                    f"The plan leaves layer {layer!r} units 0 to {len(units) - 1}. Received of the "
                    f"later plan the indices {kept[0]} to {kept[-1]}. Count those that are left."
                )
            stayed[layer] = kept if units is None else tuple(units[at] for at in kept)
        return PrunePlan(stayed)

    def to_json(self) -> str:
        """Returns the plan as a JSON object, to be read by `from_json`."""
        return json.dumps({"keep": {name: list(kept) for name, kept in self.keep.items()}})

    @classmethod
    def from_json(cls, text: str) -> "PrunePlan":
        """Reads a plan that `to_json` wrote.

        Raises:
            InvalidPlanError: when the text is not such a plan.
        """
        try:
            keep = json.loads(text)["keep"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidPlanError(
                "A stored plan is a JSON object with `keep`, as PrunePlan.to_json writes it. "
                f"Received: {text!r:.80} ({type(error).__name__}: {error})"
            ) from error
        return cls(keep)


@dataclass(frozen=True)
class WidthChange:
    """One group of coupled layers, before and after a cut."""

    layer: str
    before: int
    after: int


@dataclass(frozen=True)
class GroupSize:
    """What a policy knows of one group: its width and what removing all of it would save.

    Args:
        width: int, units that the group has now.
        params: int, parameters that lie in the group's units and in the weights that read them.
        flops: int, floating-point operations that disappear with the group.
        removable: int or None, how many units can go at most; None means all but one.
    """

    width: int
    params: int
    flops: int
    removable: int | None = None


@dataclass(frozen=True)
class TrialRow:
    """One trial of a search, as it is reported.

    Args:
        trial: int, counted from 1.
        epoch: int, epoch of `fit` (counted from 1) at whose end the verdict fell.
        layer: str, the group that was cut, by the name of its first layer.
        width_before, width_after: int, units of the layer; in a group, of all its layers.
        share: float, share of the units that the policy wanted to remove.
        epochs: int, epochs of retraining that the trial took; 0 when none was needed.
        metric: float, the monitored metric that decided.
        best: float, the best metric seen when the trial was judged.
        accepted: bool, the verdict.
        params, flops: int, of the model with the cut in place.
        reason: str, the verdict in words.
        metrics: list of floats, the monitored metric after each epoch of retraining.
    """

    trial: int
    epoch: int
    layer: str
    width_before: int
    width_after: int
    share: float
    epochs: int
    metric: float
    best: float
    accepted: bool
    params: int
    flops: int
    reason: str
    metrics: list[float] = field(default_factory=list)


class Ratios:
    """How many times smaller a model became; for records that hold its cost before and after."""

    params_before: int
    params_after: int
    flops_before: int
    flops_after: int

    @property
    def params_ratio(self) -> float:
        """Parameters before over parameters after."""
        return self.params_before / self.params_after

    @property
    def flops_ratio(self) -> float:
        """Floating-point operations before over after."""
        return self.flops_before / max(self.flops_after, 1)


@dataclass(frozen=True)
class PruneReport(Ratios):
    """What one cut did.

    Args:
        changes: widths per group, before and after.
        params_before, params_after: int, parameters of the model.
        flops_before, flops_after: int, floating-point operations for one example.
        plan: the plan that was carried out.
    """

    changes: tuple[WidthChange, ...]
    params_before: int
    params_after: int
    flops_before: int
    flops_after: int
    plan: PrunePlan = field(repr=False)

    def to_json(self) -> str:
        """Returns every figure, and the plan, as a JSON object."""
        figures = {name: value for name, value in asdict(self).items() if name != "plan"}
        figures["keep"] = {name: list(kept) for name, kept in self.plan.keep.items()}
        return json.dumps(figures)

    def __str__(self) -> str:
        lines = [f"{change.layer}: {change.before} -> {change.after}" for change in self.changes]
        lines.append(
            f"parameters {self.params_before:,} -> {self.params_after:,} "
            f"({self.params_ratio:.2f} times fewer)"
        )
        lines.append(
            f"FLOPs {self.flops_before:,} -> {self.flops_after:,} "
            f"({self.flops_ratio:.2f} times fewer)"
        )
        return "\n".join(lines)
