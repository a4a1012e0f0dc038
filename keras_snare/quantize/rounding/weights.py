"""The weights of one call: those of the model, or copies of them; kernels rounded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from keras_snare.quantize.rounding.kernels import Axes
from keras_snare.quantize.rounding.numbers import limits_of, limits_shape, rounded_kernel
from keras_snare.quantize.rounding.ranges import Mode


class Weights:
    """Has the layer of a call compute with other values than its own.

    It is no layer, so that Keras does not take the variables of the model for those of the network
    that keeps it.

    Args:
        operation: the layer, or a function, which has none.
        kernels: the weights that are rounded, each with its axes of channels.
        mode: that of the network.
        copies: by id of each variable of the model, the one of the network's own that has its
            value. Those of this layer are entered.
        new: makes a variable of the network's own, `keras.layers.Layer.add_weight`.
    """

    def __init__(
        self,
        operation: Any,
        kernels: list[tuple[Any, Axes]],
        mode: Mode,
        copies: dict[int, Any],
        new: Callable,
    ):
        self._operation = operation
        self._mode = mode
        self._copies = copies
        is_layer = isinstance(operation, keras.layers.Layer)
        self._held = list(operation.weights) if is_layer else []
        for one in self._held:
            if id(one) not in copies:
                copies[id(one)] = new(
                    shape=one.shape, dtype=one.dtype, name=one.name, trainable=False
                )
        self._kernels = [(one, axes, _limits(one, axes, new)) for one, axes in kernels]

    def copy(self) -> None:
        """Takes the values that the weights of the model have now."""
        for one in self._held:
            self._copies[id(one)].assign(one)
        for one, axes, limits in self._kernels:
            limits.assign(limits_of(ops.convert_to_tensor(one), axes))

    @contextmanager
    def shown(self, training: bool) -> Iterator[None]:
        """Has the layer see the values that it is to compute with."""
        values = self._values(training)
        if not values:
            yield
            return
        with _OtherValues(values) as scope:
            yield
        for loss in scope.losses if self._mode.shared else ():
            self._operation.add_loss(loss)
        for one, value in scope.updates():
            (one if self._mode.shared else self._copies.get(id(one), one)).assign(value)

    def _values(self, training: bool) -> list[tuple[Any, Any]]:
        """The variables that are to show other values, and these."""
        shared = self._mode.shared
        held = [] if shared else self._held
        shown = {id(one): (one, ops.convert_to_tensor(self._copies[id(one)])) for one in held}
        for one, axes, limits in self._kernels:
            value = ops.convert_to_tensor(one if shared else self._copies[id(one)])
            widest = ops.stop_gradient(limits_of(value, axes)) if shared else limits.value
            shown[id(one)] = one, rounded_kernel(value, widest, training)
        return list(shown.values())


def _limits(kernel: Any, axes: Axes, new: Callable) -> Any:
    shape = limits_shape(kernel.shape, axes)
    return new(shape=shape, name=f"{kernel.name}_max", initializer="ones", trainable=False)


class _OtherValues(keras.StatelessScope):
    """Has variables show other values, and notes what is assigned to any.

    Args:
        values: pairs of a variable and the tensor that it shows.
    """

    def __init__(self, values: list[tuple[Any, Any]]):
        super().__init__(values, collect_losses=True, initialize_variables=False)
        self._assigned: dict[int, Any] = {}

    def add_update(self, update):
        super().add_update(update)
        self._assigned[id(update[0])] = update[0]

    def updates(self) -> list[tuple[Any, Any]]:
        """The variables that were assigned to, each with its new value."""
        return [(one, self.get_current_value(one)) for one in self._assigned.values()]
