"""One set of weights for a model in Keras 3 and for what TF-MOT made of its twin."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_snare.quantize.twin import TfKerasTwin


class SharedWeights:
    """Has a quantized twin compute with the very variables of the model in Keras 3.

    So gradients, optimizers, masks, averages and statistics reach the model itself, and nothing is
    copied in a training step. What TF-MOT adds, such as ranges, stays with the twin.

    Args:
        twin: the twin.
        quantized: what TF-MOT made of it.

    Raises:
        ValueError: when a weight is not found in `quantized`; nothing has changed then.
    """

    def __init__(self, twin: TfKerasTwin, quantized: Any):
        self._pairs = twin.variables(quantized)
        self._quantized = quantized
        self._before: list[tuple[Any, str, Any]] = []

    def share(self) -> None:
        """Puts the variables of the model in the place of those of the twin."""
        instead = {id(there): here.value for here, there in self._pairs}
        for layer in _layers(self._quantized):
            for name, held in list(vars(layer).items()):
                shared = _replaced(held, instead)
                if shared is not held:
                    self._before.append((layer, name, held))
                    # tf_keras would note a plain assignment as one more weight of the layer.
                    object.__setattr__(layer, name, shared)

    def part(self) -> None:
        """Gives the twin its own variables back, with the values of the model."""
        while self._before:
            object.__setattr__(*self._before.pop())
        for here, there in self._pairs:
            there.assign(keras.ops.convert_to_numpy(here))


def _layers(model) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layer"):
            yield layer.layer


def _replaced(held: Any, instead: dict[int, Any]) -> Any:
    """The same value, or one with other variables: TF-MOT holds them in lists of tuples too."""
    if id(held) in instead:
        return instead[id(held)]
    if not isinstance(held, (list, tuple)):
        return held
    found = [_replaced(one, instead) for one in held]
    if all(one is other for one, other in zip(found, held, strict=True)):
        return held
    return tuple(found) if isinstance(held, tuple) else found
