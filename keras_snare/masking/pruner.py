"""Prunes the connections of a model: criterion, scope, pattern and regrowth in one place."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.errors import InvalidPlanError, UnsupportedModelError
from keras_snare.graph import PRODUCER, READER, axis_key, channel_groups
from keras_snare.masking.criteria import ConnectionCriterion
from keras_snare.masking.kernels import Kernel, kernels_of
from keras_snare.masking.masked_step import MaskedStep
from keras_snare.masking.masks import Masks
from keras_snare.masking.patterns import NOfM, Pattern
from keras_snare.masking.regrowth import Regrowth
from keras_snare.masking.selection import select


class ConnectionPruner:
    """Updates the masks of a model in training.

    Args:
        model: a compiled model.
        criterion: what connections are ranked by.
        scope: `"layer"`, `"global"` or `"erk"`.
        pattern: how connections stand together.
        regrowth: how they come back, or None.
        layers: which layers, as `SnareCallback` takes them.
        data: `(x, y)` for a criterion that looks at data; None to listen to the training step.

    Attributes:
        kernels: what is pruned.
        step: `MaskedStep`, which holds the masks.
        listens: bool, whether something is summed up in the training step.

    Raises:
        UnsupportedModelError: when the model has no connections that can be pruned so.
        ValueError: when `layers` matches none, or names one that does not suit the pattern.
    """

    def __init__(
        self,
        model,
        criterion: ConnectionCriterion,
        *,
        scope: str = "layer",
        pattern: Pattern | None = None,
        regrowth: Regrowth | None = None,
        layers: Any = None,
        data: Any = None,
    ):
        if keras.backend.backend() != "tensorflow":
            raise UnsupportedModelError(
                "Masks in the training step need the TensorFlow backend. Received: "
                f"{keras.backend.backend()}."
            )
        self.model = model
        self.criterion = criterion
        self.scope = scope
        self.pattern = pattern or Pattern()
        self.regrowth = regrowth
        self.data = data
        self.axes = reading_axes(model) if isinstance(self.pattern, NOfM) else {}
        self.kernels = self._suitable(kernels_of(model, layers), layers is not None)
        statistics = {}
        if criterion.needs == "data" and data is None:
            statistics["criterion"] = criterion.statistic
        if regrowth is not None and regrowth.by_gradient:
            statistics["gradient"] = lambda weights, gradients: gradients
        self.listens = bool(statistics)
        self.step = MaskedStep(
            model,
            self.kernels,
            dormant=regrowth is not None and regrowth.dormant,
            statistics=statistics,
            lasting=("criterion",) if criterion.cumulative else (),
        )
        self._axes = {one.name: self.axes.get(id(one.variable)) for one in self.kernels}

    def _suitable(self, kernels: list[Kernel], chosen: bool) -> list[Kernel]:
        reasons = {
            one.name: self.pattern.check(one, self.axes.get(id(one.variable))) for one in kernels
        }
        unfit = {name: reason for name, reason in reasons.items() if reason is not None}
        if chosen and unfit:
            name, reason = next(iter(unfit.items()))
            raise ValueError(
                f"{self.pattern!r} does not suit {name!r}: {reason}. Leave the layer out of "
                "`layers`, or give another pattern."
            )
        found = [one for one in kernels if one.name not in unfit]
        if not found:
            listed = "; ".join(f"{name}: {reason}" for name, reason in unfit.items())
            raise UnsupportedModelError(
                f"{self.pattern!r} suits no kernel of the model ({listed})."
            )
        return found

    @property
    def masks(self) -> Masks:
        """The masks as they are."""
        return self.step.masks

    def checked(self, masks: Masks) -> Masks:
        """Returns masks for every kernel that is pruned; one that they do not name is kept whole.

        Raises:
            InvalidPlanError: when they name another kernel, or one of another shape.
        """
        masks.kernels(self.model)
        known = {one.name for one in self.kernels}
        foreign = [name for name in masks if name not in known]
        if foreign:
            raise InvalidPlanError(
                f"The masks name the kernel {foreign[0]!r}, which is not pruned here: "
                f"{', '.join(sorted(known))}. Choose the same `layers` as they were made with."
            )
        return Masks({**self.masks, **masks})

    def update(self, sparsity: float, progress: float = 1.0) -> Masks:
        """Prunes the lowest connections, so that `sparsity` of all is pruned, and holds the masks.

        Args:
            sparsity: float, share of the connections.
            progress: float, 0 at the first of several updates and 1 at the last.
        """
        collected = self.step.statistics()
        scores = self.scores(collected.get("criterion"))
        masks = self._select(scores, sparsity)
        if self.regrowth is not None and "gradient" in collected:
            masks = self.regrowth.grow(masks, scores, collected["gradient"], progress)
        self.step.set(masks)
        self.step.reset()
        return masks

    def thinned(self, fraction: float, rates: Mapping[str, float] | None = None) -> Masks:
        """Returns masks without the lowest of the connections that are left; they hold nothing yet.

        Args:
            fraction: float, share of what is left that goes.
            rates: by name of the kernel, the share instead of `fraction`, with the scope `"layer"`.
        """
        scores = self.scores(self.step.statistics().get("criterion"))
        if self.scope != "layer":
            sizes = [one.size for one in self.kernels]
            return self._select(scores, _pruned(sum(sizes), self.masks.kept, fraction))
        shares = {
            one.name: _pruned(
                one.size, int(self.masks[one.name].sum()), (rates or {}).get(one.name, fraction)
            )
            for one in self.kernels
        }
        return self._select(scores, fraction, shares)

    def scores(self, measured: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Scores every connection.

        Args:
            measured: what the training step summed up, for a criterion on data without data.

        Raises:
            ValueError: when there is nothing to score by yet, or the criterion returns another
                shape, or NaN.
        """
        if self.data is not None or self.criterion.needs == "weights":
            measured = self.criterion.measure(self.model, self.kernels, self.data)
        elif measured is None:
            raise ValueError(
                f"{self.criterion!r} listens to training, and there was no step yet. Prune later, "
                "or give data."
            )
        scores = {}
        for one in self.kernels:
            own = None if measured is None else measured[one.name]
            found = np.asarray(self.criterion.score(one, self.step.weights(one), own))
            if found.shape != one.shape or np.isnan(found).any():
                raise ValueError(
                    "A criterion returns one score per connection. Expected from "
                    f"{self.criterion!r} for {one.name!r} the shape {one.shape}, without NaN. "
                    f"Received: {found.shape}, {int(np.isnan(found).sum())} NaN."
                )
            scores[one.name] = found
        return scores

    def _select(
        self,
        scores: dict[str, np.ndarray],
        sparsity: float,
        rates: dict[str, float] | None = None,
    ) -> Masks:
        chosen = {name: self._ranked(found, self.masks[name]) for name, found in scores.items()}
        return select(self.kernels, chosen, sparsity, self.scope, self.pattern, self._axes, rates)

    def _ranked(self, scores: np.ndarray, kept: np.ndarray) -> np.ndarray:
        if self.regrowth is not None:
            return self.regrowth.scores(scores, kept)
        return np.where(kept, scores, -np.inf)


def _pruned(size: int, kept: int, fraction: float) -> float:
    """The share that is pruned when a fraction of what is kept goes too, whole connections."""
    return (size - kept + round(fraction * kept)) / size


def reading_axes(model) -> dict[int, int]:
    """Returns by id of a variable the axis over which it sums up channels that it reads.

    Depthwise kernels sum over none.

    Raises:
        UnsupportedModelError: when no graph of the model is to be had.
    """
    axes: dict[int, dict[str, set[int]]] = {}
    for binding in channel_groups(model).bindings:
        key, axis = axis_key(binding.variable, binding.axis)
        # What is read from a tensor comes before what stays inside of a layer.
        role = "tensor" if binding.role == READER and binding.source is not None else binding.role
        axes.setdefault(key, {}).setdefault(role, set()).add(axis)
    found = {}
    for kernel in kernels_of(model):
        roles, ndim = axes.get(id(kernel.variable), {}), len(kernel.shape)
        # What a model's own inputs feed has no channels that are followed; nor has a wall's kernel.
        made = roles.get(PRODUCER, {ndim - 1})
        reads = roles.get("tensor") or roles.get(READER) or {ndim - 2, ndim - 1} - made
        if not _is_depthwise(kernel):
            found[id(kernel.variable)] = max(reads)
    return found


def _is_depthwise(kernel: Kernel) -> bool:
    kinds = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
    return isinstance(kernel.owner, kinds) or kernel.variable.name == "depthwise_kernel"
