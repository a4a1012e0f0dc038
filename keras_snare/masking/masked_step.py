"""Masks that hold after every training step, inside the compiled step."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import keras
import numpy as np

from keras_snare import step_hooks
from keras_snare.masking.adafactor import AdafactorFloor
from keras_snare.masking.elementwise import is_elementwise
from keras_snare.masking.kernels import Kernel
from keras_snare.masking.masks import Masks
from keras_snare.replicas import mirrored, sum_over_replicas
from keras_snare.step_hooks import StepHook
from keras_snare.surgery import optimizers

# What a criterion sums up over the steps, of a kernel and its gradient.
Statistic = Callable[[Any, Any], Any]


class MaskedStep(StepHook):
    """Keeps pruned connections at zero through training, whatever the optimizer does.

    In every step the weights of pruned connections are set to zero after the update. Before it,
    their gradients are, so that they have no part in clipping and the like; that is left out where
    it would change nothing for the other weights (`is_elementwise`), and `set` and `hold` empty
    what momenta gather then. The masks lie beside the model, which stays a plain Keras model.

    Args:
        model: a compiled model.
        kernels: what is masked.
        dormant: whether pruned connections go on training out of sight, with the gradient at zero,
            so that they can come back with the weight that they have reached.
        statistics: by name, what to sum up of each kernel and its gradient over the steps, before
            the gradient is masked.
        lasting: names of those that `reset` leaves alone.

    Attributes:
        masks: the masks as they are.

    Reference:
        Guo et al., "Dynamic Network Surgery for Efficient DNNs", NeurIPS 2016, for `dormant`.
    """

    def __init__(
        self,
        model: keras.Model,
        kernels: list[Kernel],
        *,
        dormant: bool = False,
        statistics: Mapping[str, Statistic] | None = None,
        lasting: Collection[str] = (),
    ) -> None:
        self.model = model
        self.kernels = kernels
        self._statistics = dict(statistics or {})
        self._lasting = frozenset(lasting)
        self.masks = Masks({one.name: np.ones(one.shape, dtype=bool) for one in kernels})
        # XLA fuses a selection into the update; without it, a product is the cheaper one.
        self._dtype = "bool" if model.jit_compile else "float32"
        self._masks = {
            id(one.variable): self._variable(one.shape, 1, self._dtype) for one in kernels
        }
        self._dormant = self._zeros() if dormant else {}
        self._sums = {name: self._zeros() for name in self._statistics}
        self._steps = {name: self._variable((), 0, "float32") for name in self._sums}
        optimizer = optimizers.built_optimizer(model)
        self._floor = AdafactorFloor(optimizer)
        self._averages = optimizers.moving_averages(optimizer)
        self._elementwise = is_elementwise(optimizer, [one.variable for one in kernels])

    def attach(self) -> None:
        """Begins to hold; the training step has to be compiled after this."""
        self._floor.attach()
        step_hooks.attach(self.model, self)

    def detach(self) -> None:
        """Lets go, and drops the compiled step that still holds the masks."""
        step_hooks.detach(self.model, self)
        self._floor.detach()

    def before(self, gradients: list, variables: list) -> list:
        """Masks the gradients."""
        masks = not (self._dormant or self._elementwise)
        if not (masks or self._statistics):
            return gradients  # Those of an embedding stay sparse.
        gradients = list(gradients)
        places = {id(variable): at for at, variable in enumerate(variables)}
        # A training step of the user's may update a part of the weights at a time.
        found = [(one.variable, places.get(id(one.variable))) for one in self.kernels]
        found = [(one, at) for one, at in found if at is not None and gradients[at] is not None]
        for _, at in found:
            gradients[at] = keras.ops.convert_to_tensor(gradients[at])
        if self._statistics:
            whole = sum_over_replicas([gradients[at] for _, at in found])
            self._sum_up([(one, slope) for (one, _), slope in zip(found, whole, strict=True)])
        for variable, at in found if masks else ():
            gradients[at] = self._masked(variable, gradients[at])
        return gradients

    def after(self) -> None:
        """Masks the weights, and their averages where the optimizer keeps some."""
        for kernel in self.kernels:
            variable = kernel.variable
            masked = self._masked(variable, variable.value)
            if self._dormant:
                self._dormant[id(variable)].assign_add(variable.value - masked)
            variable.assign(masked)
            average = self._averages.get(id(variable))
            if average is not None:
                average.assign(self._masked(variable, average.value))

    def set(self, masks: Masks) -> None:
        """Takes other masks: prunes what they prune, and lets come back what they keep.

        What comes back begins at zero, or with its dormant weight, and with empty momenta.
        """
        cleared = {}
        for kernel in self.kernels:
            variable, keep = kernel.variable, masks[kernel.name]
            weights = self.weights(kernel)
            self._masks[id(variable)].assign(keep.astype(self._dtype))
            variable.assign(np.where(keep, weights, 0))
            average = self._averages.get(id(variable))
            if average is not None:
                # It may change places with the weights, masked or not.
                average.assign(keras.ops.where(keep, average.value, 0.0))
            if self._dormant:
                self._dormant[id(variable)].assign(np.where(keep, 0, weights))
            else:
                cleared[id(variable)] = (self.masks[kernel.name] != keep) | ~keep
        optimizers.clear_slots(self.model.optimizer, cleared)
        self.masks = masks

    def hold(self) -> None:
        """Masks once more what something other than the training step may have put in."""
        self.set(self.masks)

    def weights(self, kernel: Kernel) -> np.ndarray:
        """Returns the weights of a kernel, with those that are dormant."""
        weights = keras.ops.convert_to_numpy(kernel.variable.value)
        if self._dormant:
            weights = weights + keras.ops.convert_to_numpy(self._dormant[id(kernel.variable)].value)
        return weights

    def has_steps(self, name: str) -> bool:
        """Tells whether a statistic was summed up over a step since `reset`."""
        return bool(keras.ops.convert_to_numpy(self._steps[name].value))

    def statistics(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns the mean of each statistic over the steps since `reset`, by name and kernel.

        A statistic is left out before its first step.
        """
        found = {}
        for name, sums in self._sums.items():
            steps = float(keras.ops.convert_to_numpy(self._steps[name].value))
            if steps:
                found[name] = {
                    one.name: keras.ops.convert_to_numpy(sums[id(one.variable)].value) / steps
                    for one in self.kernels
                }
        return found

    def reset(self, *, lasting: bool = False) -> None:
        """Forgets the statistics; those that go on over updates only if `lasting`."""
        for name, sums in self._sums.items():
            goes_on = name in self._lasting and not lasting
            for variable in () if goes_on else (self._steps[name], *sums.values()):
                variable.assign(keras.ops.zeros_like(variable))

    def _sum_up(self, pairs: list[tuple[Any, Any]]) -> None:
        scale = keras.ops.cast(self.model.optimizer.scale_loss(keras.ops.ones(())), "float32")
        found = []
        for variable, gradient in pairs:
            weights = keras.ops.cast(variable.value, "float32")
            slopes = keras.ops.cast(gradient, "float32") / scale
            for name, statistic in self._statistics.items():
                found.append((self._sums[name][id(variable)], statistic(weights, slopes)))
        finite = keras.ops.convert_to_tensor(True)
        for _, figures in found:
            finite = keras.ops.logical_and(finite, keras.ops.all(keras.ops.isfinite(figures)))
        # A step that overflows is left out whole, as loss scaling does.
        for sums, figures in found:
            sums.assign_add(keras.ops.where(finite, figures, 0.0))
        for steps in self._steps.values():
            steps.assign_add(keras.ops.cast(finite, "float32"))

    def _masked(self, variable, value):
        mask = self._masks[id(variable)].value
        if self._dtype == "bool":
            return keras.ops.where(mask, value, keras.ops.zeros_like(value))
        return value * keras.ops.cast(mask, value.dtype)

    def _zeros(self) -> dict[int, Any]:
        return {id(one.variable): self._variable(one.shape, 0, "float32") for one in self.kernels}

    def _variable(self, shape, value, dtype: str):
        return mirrored(self.model, np.full(shape, value), dtype)
