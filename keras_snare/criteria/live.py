"""Scores collected inside the compiled training step, from gradients that it computes anyway.

For what a layer reads, the sum over a batch of activation times gradient equals the sum, over the
weights that read the channel, of weight times gradient of the weight. So the gradients that the
step hands to the optimizer are enough; data are not needed, and no activation is kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare import step_hooks
from keras_snare.criteria.base import Criterion
from keras_snare.criteria.products import Tap, products, taps_of
from keras_snare.graph import ChannelGroup
from keras_snare.replicas import mirrored, sum_over_replicas
from keras_snare.step_hooks import StepHook


@dataclass(frozen=True, eq=False)
class Totals:
    """What is being collected for the model as it is: taps and sums per group, and a counter."""

    taps: dict[str, list[Tap]]
    sums: dict[str, Any]
    steps: Any


class LiveStatistics(StepHook):
    """Collects a criterion's statistic in the running training step.

    It stands between the training step and `optimizer.apply`, so that it also sees the steps of a
    user's own `train_step`. `attach` before the step is compiled, `follow` whenever the model was
    cut, `detach` in the end; nothing of it is saved with model or optimizer.

    Args:
        model: a compiled model.
        criterion: one whose `live` is true.
    """

    def __init__(self, model: keras.Model, criterion: Criterion) -> None:
        self.model = model
        self.criterion = criterion
        self.totals: Totals | None = None

    def _current(self) -> Totals:
        assert self.totals is not None, "follow() comes first"
        return self.totals

    def attach(self) -> None:
        """Starts to listen; the training step has to be compiled after this."""
        step_hooks.attach(self.model, self)

    def detach(self) -> None:
        """Stops listening, and drops the compiled step that still does."""
        step_hooks.detach(self.model, self)
        self.totals = None

    def follow(self, groups: Iterable[ChannelGroup]) -> None:
        """Begins anew for the model as it is now.

        Raises:
            UnsupportedModelError: when a weight that reads a group's channels is not trained, so
                that there is no gradient to collect from.
        """
        trained = {id(variable) for variable in self.model.trainable_variables}
        taps = {group.name: taps_of(group, trained) for group in groups}
        sums = {name: self._zeros(self._shape(group_taps)) for name, group_taps in taps.items()}
        self.totals = Totals(taps, sums, self._zeros(()))

    def reset(self) -> None:
        """Forgets what was collected."""
        totals = self._current()
        for variable in (*totals.sums.values(), totals.steps):
            variable.assign(keras.ops.zeros_like(variable))

    @property
    def collected_any(self) -> bool:
        """Whether there was a step since `reset`."""
        return bool(self._current().steps.numpy())

    def statistics(self) -> dict[str, np.ndarray]:
        """Returns the mean over the steps since `reset`, by group."""
        totals = self._current()
        steps = max(float(totals.steps.numpy()), 1.0)
        return {name: total.numpy() / steps for name, total in totals.sums.items()}

    def before(self, gradients: list, variables: list) -> list:
        """Collects the statistic of a step."""
        found = {
            id(variable): keras.ops.convert_to_tensor(gradient)
            for variable, gradient in zip(variables, gradients, strict=True)
            if gradient is not None
        }
        self._collect(found)
        return gradients

    def _shape(self, taps: list[Tap]) -> tuple[int, ...]:
        """The shape of what the criterion makes of a group with these taps."""
        nothing = keras.ops.zeros((1, 1, len(taps[0].positions)))
        return tuple(self.criterion.statistic(nothing, nothing).shape[1:])

    def _collect(self, found: dict[int, Any]) -> None:
        scale = self.model.optimizer.scale_loss(keras.ops.ones(()))
        figures, finite = {}, keras.ops.convert_to_tensor(True)
        totals = self._current()
        parts = {name: products(taps, found, scale) for name, taps in totals.taps.items()}
        # Each replica has a part of the batch; the criterion is about the whole.
        parts = sum_over_replicas({name: one for name, one in parts.items() if one is not None})
        for name, sums in parts.items():
            figures[name] = self.criterion.statistic(sums, keras.ops.ones_like(sums))[0]
            finite = keras.ops.logical_and(finite, keras.ops.all(keras.ops.isfinite(figures[name])))
        # A step that overflows is left out whole, as loss scaling does.
        for name, figure in figures.items():
            totals.sums[name].assign_add(keras.ops.where(finite, figure, 0.0))
        totals.steps.assign_add(keras.ops.cast(finite, "float32"))

    def _zeros(self, shape: tuple) -> keras.Variable:
        return mirrored(self.model, np.zeros(shape), "float32")
