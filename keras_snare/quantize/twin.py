"""A model in Keras 3 and its twin in tf_keras, whose weights are the same."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True, eq=False)
class Pair:
    """One weight, in both models.

    Args:
        variable: the variable in Keras 3.
        name: str, name of the variable in tf_keras, by which it is found again in what TF-MOT makes
            of the twin.
        layer: str, name of its layer there.
    """

    variable: Any
    name: str
    layer: str


@dataclass(frozen=True, eq=False, repr=False)
class TfKerasTwin:
    """What `to_tf_keras` returns: a model in tf_keras that computes what one in Keras 3 does.

    The twin takes the inputs of the Keras 3 model in the order of `model.inputs`, and returns its
    outputs in the order of `model.outputs`: one tensor, or a list. It is not compiled.

    Args:
        original: the model in Keras 3.
        model: the twin.
        pairs: every weight, in both models.
        names: by name of each call in Keras 3, behind those of the models that it lies in
            (`"encoder/dense"`), the names of the layers that it became.
    """

    original: keras.Model
    model: Any
    pairs: tuple[Pair, ...]
    names: dict[str, tuple[str, ...]]

    def __repr__(self) -> str:
        return f"TfKerasTwin({self.original.name!r}: {len(self.pairs)} weights)"

    def variables(self, trained: Any = None) -> list[tuple[Any, Any]]:
        """Returns each weight as a variable in Keras 3 and one in tf_keras.

        Args:
            trained: the twin (None), or a model that TF-MOT made of it.

        Raises:
            ValueError: `trained` lacks one of them, has it twice, or in another shape.
        """
        model = self.model if trained is None else trained
        found: dict[str, list[Any]] = {}
        for variable in getattr(model, "weights", ()):
            found.setdefault(variable.name, []).append(variable)
        result = []
        for pair in self.pairs:
            ones = found.get(pair.name, [])
            shape = tuple(pair.variable.shape)
            if len(ones) != 1 or tuple(ones[0].shape) != shape:
                told = ", ".join(str(tuple(one.shape)) for one in ones) or "none"
                raise ValueError(
                    f"Expected the twin of {self.original.name!r}, or a model made of it, with one "
                    f"weight {pair.name!r} of shape {shape}. Received: {told}. Make a twin anew "
                    "where the model was cut since; layers that TF-MOT renamed have lost their "
                    "weights' names."
                )
            result.append((pair.variable, ones[0]))
        return result

    def copy_weights(self, trained: Any = None) -> None:
        """Gives the weights of the Keras 3 model to the twin.

        Args:
            trained: the twin (None), or a model that TF-MOT made of it.

        Raises:
            ValueError: as `variables` does; nothing was changed.
        """
        for here, there in self.variables(trained):
            there.assign(keras.ops.convert_to_numpy(here))

    def write_back(self, trained: Any = None) -> None:
        """Gives the weights of the twin to the variables of the Keras 3 model.

        What TF-MOT adds, such as ranges of activations, has no place there and is left out.

        Args:
            trained: the twin (None), or a model that TF-MOT made of it and that was trained.

        Raises:
            ValueError: as `variables` does; nothing was changed.
        """
        for here, there in self.variables(trained):
            here.assign(np.asarray(there))
