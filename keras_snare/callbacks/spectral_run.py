"""One `fit` in which layers in a basis of cosines lose and gain frequencies."""

from math import prod
from typing import Any

import numpy as np

from keras_snare.arguments import is_whole
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.callbacks.scored_run import ScoredRun
from keras_snare.criteria import check_measurable
from keras_snare.graph import ChannelGroup, model_cost
from keras_snare.layers import DCTConv2D, DCTDense
from keras_snare.masking import Masks, get_regrowth, kernels_of, mean_gradients
from keras_snare.policy import means
from keras_snare.schedules import Schedule
from keras_snare.surgery import set_frequencies

# Numbers of a basis that is made to look at frequencies which a layer lacks.
_AT_ONCE = 2**24


class SpectralRun(ScoredRun):
    """Brings the layers to the number of frequencies that is asked for.

    Args:
        settings: the callback.
        fit: the running `fit`.
        schedule: the callback's.

    Raises:
        ValueError: when no layer in a basis of cosines is meant, or one cannot have so many.
    """

    def __init__(self, settings: Any, fit: RunningFit | None, schedule: Schedule) -> None:
        super().__init__(settings, settings.criterion)
        self._schedule = schedule
        self._regrowth = get_regrowth(settings.regrowth)
        self.layers = self._chosen_layers()
        self.before = {name: len(layer.frequencies) for name, layer in self.layers.items()}
        self.target = {name: self._wanted(layer) for name, layer in self.layers.items()}
        chosen = self._chosen()
        check_measurable(chosen, self._source.criterion)
        if self._source.criterion.needs == "weights":
            self._source.scores(self.groups, chosen, None)
        self._watch(fit)

    @property
    def grows(self) -> list[str]:
        """Names of the layers that are to gain frequencies."""
        return [name for name, count in self.target.items() if count > self.before[name]]

    @property
    def listens(self) -> bool:
        """Whether scores are collected in the training step."""
        return self._source.live is not None

    def update(self, progress: float) -> bool:
        """Brings the layers as far as the schedule is; returns False where nothing was scored."""
        if not self._source.ready:
            return False
        counts = {name: self._count(name, progress) for name in self.layers}
        chosen = self._exchanged(counts, progress)
        changed = {
            self.layers[name]: frequencies
            for name, frequencies in chosen.items()
            if frequencies != self.layers[name].frequencies
        }
        if changed:
            set_frequencies(self.model, changed)
            self._follow()
        self._source.epoch_began()
        return True

    def logs(self) -> dict[str, float]:
        """Returns how many frequencies there are, in all and by layer, and the cost.

        Raises:
            UnsupportedModelError: when the criterion listens to a training step that it cannot.
        """
        self._source.epoch_ended()
        counts = {name: len(layer.frequencies) for name, layer in self.layers.items()}
        cost = model_cost(self.groups)
        return {
            "frequencies": sum(counts.values()),
            **{f"frequencies_{name}": count for name, count in counts.items()},
            "snare_params": cost.params,
            "snare_flops": cost.flops,
        }

    def end(self) -> dict[str, tuple[int, ...]]:
        """Returns the frequencies that each layer has."""
        self.tidy_up()
        return {name: layer.frequencies for name, layer in self.layers.items()}

    def _chosen_layers(self) -> dict[str, Any]:
        known = {
            call.name: call.operation
            for call in self.groups.trace.calls
            if isinstance(call.operation, (DCTDense, DCTConv2D))
        }
        once = {id(layer): (name, layer) for name, layer in reversed(known.items())}
        layers, found = self.settings.layers, {}
        for name, layer in reversed(once.values()):
            if layers is None or means(layers, name, layer):
                found[name] = layer
        if not found:
            raise ValueError(
                "Expected layers in a basis of cosines, keras_snare.layers.DCTDense or DCTConv2D. "
                f"Received: layers={layers!r}, and the model has {', '.join(known) or 'none'}. "
                "Make them with keras_snare.to_basis, or choose others."
            )
        return found

    def _wanted(self, layer: Any) -> int:
        features, asked = prod(layer.basis_grid), self.settings.coefficients
        count = int(asked) if is_whole(asked) else max(round(float(asked) * features), 1)
        if count > features:
            raise ValueError(
                f"`coefficients` is {features} at most for layer {layer.name!r}. Received: {asked}"
            )
        return count

    def _chosen(self) -> list[ChannelGroup]:
        """The groups of the frequencies."""
        kernels = {id(layer.kernel): name for name, layer in self.layers.items()}
        return [
            group
            for group in self.groups
            if any(
                id(one.binding.variable) in kernels and one.binding.axis == 0
                for one in group.members
            )
        ]

    def _count(self, name: str, progress: float) -> int:
        """How many frequencies a layer has when the updates are so far on the way."""
        before, target = self.before[name], self.target[name]
        if before == target:
            return target
        final = 1 - min(before, target) / max(before, target)
        share = self._schedule.sparsity(progress, max(final, self._schedule.initial)) / final
        return round(before + (target - before) * min(share, 1.0))

    def _exchanged(self, counts: dict[str, int], progress: float) -> dict[str, tuple[int, ...]]:
        """The frequencies of each layer after an update, those that stay in the order they have."""
        scores, kept = self._scores(), {}
        grows = any(count > len(self.layers[name].frequencies) for name, count in counts.items())
        slopes = self._slopes() if grows or self._regrowth is not None else {}
        for name, count in counts.items():
            order = np.argsort(-scores[name], kind="stable")
            kept[name] = np.isin(np.arange(order.size), order[:count]) & (scores[name] > -np.inf)
            lacking = count - int(kept[name].sum())
            if lacking > 0:
                steep = np.where(kept[name], -np.inf, slopes[name])
                kept[name][np.argsort(-steep, kind="stable")[:lacking]] = True
        if self._regrowth is not None:
            kept = self._regrowth.grow(Masks(kept), scores, slopes, progress)
        chosen = {}
        for name, mask in kept.items():
            frequencies = self.layers[name].frequencies
            new = np.setdiff1d(np.flatnonzero(mask), frequencies)
            chosen[name] = (*(one for one in frequencies if mask[one]), *new.tolist())
        return chosen

    def _scores(self) -> dict[str, np.ndarray]:
        """Scores of all frequencies of each layer's grid, minus infinity of those it lacks."""
        chosen = self._chosen()
        scores = self._source.scores(self.groups, chosen, self._source.collected())
        by_kernel = {
            id(one.binding.variable): scores[group.name][one.channels]
            for group in chosen
            for one in group.members
        }
        found = {}
        for name, layer in self.layers.items():
            found[name] = np.full(prod(layer.basis_grid), -np.inf)
            found[name][list(layer.frequencies)] = by_kernel[id(layer.kernel)]
        return found

    def _slopes(self) -> dict[str, np.ndarray]:
        """How steep the loss is along each frequency of each layer, those it lacks included."""
        steep = {name: np.zeros(prod(layer.basis_grid)) for name, layer in self.layers.items()}
        lacking = {
            name: np.setdiff1d(np.arange(len(steep[name])), layer.frequencies)
            for name, layer in self.layers.items()
        }
        rounds = max(-(-len(one) * len(steep[name]) // _AT_ONCE) for name, one in lacking.items())
        for number in range(max(rounds, 1)):
            some = {name: one[number :: max(rounds, 1)] for name, one in lacking.items()}
            self._look_along(some, steep)
        return steep

    def _look_along(self, some: dict[str, np.ndarray], steep: dict[str, np.ndarray]) -> None:
        """Enters the slopes along the frequencies that there are, and along some that lack."""
        every = {
            layer: (*layer.frequencies, *some[name].tolist()) for name, layer in self.layers.items()
        }
        before = set_frequencies(self.model, every)
        try:
            kernels = {id(one.variable): one for one in kernels_of(self.model)}
            chosen = [kernels[id(layer.kernel)] for layer in every]
            found = mean_gradients(self.model, chosen, self.settings.scoring_data)
        finally:
            before.restore()
        for (name, layer), kernel in zip(self.layers.items(), chosen, strict=True):
            flat = found[kernel.name].reshape(len(every[layer]), -1)
            steep[name][list(every[layer])] = np.linalg.norm(flat, axis=1)
