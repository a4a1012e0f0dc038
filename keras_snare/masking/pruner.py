"""Prunes the connections of a model: criterion, scope, pattern and regrowth in one place."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.masking.criteria import ConnectionCriterion
from keras_snare.masking.masked_step import MaskedStep
from keras_snare.masking.masks import Masks, whole_masks
from keras_snare.masking.patterns import Pattern
from keras_snare.masking.regrowth import Regrowth
from keras_snare.masking.scoring import score_connections
from keras_snare.masking.selection import select
from keras_snare.masking.suitable import suitable_kernels


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

    Raises:
        UnsupportedModelError: when the model has no connections that can be pruned so.
        ValueError: when `layers` matches none, or names one that does not suit the pattern.
    """

    def __init__(
        self,
        model: keras.Model,
        criterion: ConnectionCriterion,
        *,
        scope: str = "layer",
        pattern: Pattern | None = None,
        regrowth: Regrowth | None = None,
        layers: Any = None,
        data: Any = None,
    ) -> None:
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
        self.kernels, self.axes = suitable_kernels(model, self.pattern, layers)
        statistics = {}
        self._least: Masks | None = None
        self._scores_by_steps = criterion.needs == "data" and data is None
        if self._scores_by_steps:
            statistics["criterion"] = criterion.statistic
        if regrowth is not None and regrowth.by_gradient:
            statistics["gradient"] = lambda weights, gradients: gradients
        self.step = MaskedStep(
            model,
            self.kernels,
            dormant=regrowth is not None and regrowth.dormant,
            statistics=statistics,
            lasting=("criterion",) if criterion.cumulative else (),
        )

    @property
    def masks(self) -> Masks:
        """The masks as they are."""
        return self.step.masks

    @property
    def scored(self) -> bool:
        """Whether there is something to score by: weights, data, or a step that was listened to."""
        return not self._scores_by_steps or self.step.has_steps("criterion")

    def checked(self, masks: Masks) -> Masks:
        """Returns masks for every kernel that is pruned; one that they do not name is kept whole.

        Raises:
            InvalidPlanError: when they name another kernel, or one of another shape.
        """
        return whole_masks(self.model, self.kernels, masks)

    def begin_with(self, masks: Masks) -> None:
        """Holds masks before the first update; no update leaves fewer connections pruned.

        Args:
            masks: of every kernel, as `checked` returns them.
        """
        self.step.set(masks)
        self._least = masks

    def update(self, sparsity: float, progress: float = 1.0) -> Masks:
        """Prunes the lowest connections, so that `sparsity` of all is pruned, and holds the masks.

        A criterion that has listened to no step yet, as when each overflows, leaves all as it is.

        Args:
            sparsity: float, share of the connections.
            progress: float, 0 at the first of several updates and 1 at the last.
        """
        if not self.scored:
            return self.masks
        collected = self.step.statistics()
        scores = self.scores(collected.get("criterion"))
        masks = self._select(scores, *self._shares(sparsity))
        if self.regrowth is None:
            masks = masks.both(self.masks)
        elif "gradient" in collected:
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
        if self.data is not None or self.criterion.needs != "data":
            measured = self.criterion.measure(self.model, self.kernels, self.data)
        elif measured is None:
            raise ValueError(
                f"{self.criterion!r} listens to training, and there was no step yet. Prune later, "
                "or give data."
            )
        weights = {one.name: self.step.weights(one) for one in self.kernels}
        return score_connections(self.criterion, self.kernels, weights, measured)

    def _shares(self, sparsity: float) -> tuple[float, dict[str, float]]:
        """What is pruned of all, and of single kernels, where more was pruned to begin with."""
        if self._least is None:
            return sparsity, {}
        if self.scope != "layer":
            return max(sparsity, 1 - self._least.kept / sum(one.size for one in self.kernels)), {}
        pruned = {name: 1 - float(np.mean(kept)) for name, kept in self._least.items()}
        return sparsity, {name: max(sparsity, share) for name, share in pruned.items()}

    def _select(
        self,
        scores: dict[str, np.ndarray],
        sparsity: float,
        rates: dict[str, float] | None = None,
    ) -> Masks:
        chosen = {name: self._ranked(found, self.masks[name]) for name, found in scores.items()}
        return select(self.kernels, chosen, sparsity, self.scope, self.pattern, self.axes, rates)

    def _ranked(self, scores: np.ndarray, kept: np.ndarray) -> np.ndarray:
        if self.regrowth is not None:
            return self.regrowth.scores(scores, kept)
        return np.where(kept, scores, -np.inf)


def _pruned(size: int, kept: int, fraction: float) -> float:
    """The share that is pruned when a fraction of what is kept goes too, whole connections."""
    return (size - kept + round(fraction * kept)) / size
