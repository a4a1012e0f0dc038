"""What training changes, kept as plain arrays, so that it can begin again from there."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.errors import InvalidPlanError
from keras_snare.surgery import built_optimizer


@dataclass(frozen=True, eq=False)
class TrainingState:
    """The values of a model's weights, and of its optimizer's variables, at one time of a training.

    Weights that are not trained are among them, such as the statistics of a batch normalisation;
    so are the optimizer's count of iterations and its learning rate. The states of random
    generators and of metrics are not.

    Args:
        names: of the weights, in their order.
        weights: their values.
        optimizer: values of the optimizer's variables, in their order; none without an optimizer.
    """

    names: tuple[str, ...]
    weights: tuple[np.ndarray, ...]
    optimizer: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, model: keras.Model) -> "TrainingState":
        """Copies the state of a model; an optimizer that is not built yet is built."""
        return cls(
            tuple(one.name for one in model.weights),
            tuple(map(value_of, model.weights)),
            tuple(map(value_of, _variables(model))),
        )

    def check(self, model: keras.Model, *, optimizer: bool = True) -> None:
        """Checks that the state fits a model.

        Raises:
            InvalidPlanError: when it does not.
        """
        found = [(one.name, tuple(one.shape)) for one in model.weights]
        held = [(name, one.shape) for name, one in zip(self.names, self.weights, strict=True)]
        if found != held:
            pairs = enumerate(zip(held, found, strict=False))
            at = next((at for at, (one, other) in pairs if one != other), -1)
            raise InvalidPlanError(
                f"{len(held)} weights were kept, among them {held[at]}. Received: model "
                f"{model.name!r} with {len(found)} weights, {found[at]} in that place. Build it as "
                "it was built then."
            )
        shapes = [tuple(one.shape) for one in _variables(model)] if optimizer else []
        if optimizer and shapes != [one.shape for one in self.optimizer]:
            raise InvalidPlanError(
                f"The state of an optimizer with {len(self.optimizer)} variables was kept. "
                f"Received: model {model.name!r} with {type(model.optimizer).__name__}, "
                f"{len(shapes)} variables. Compile it with the same optimizer, or leave the state "
                "of the optimizer out."
            )

    def put(self, model: keras.Model) -> None:
        """Gives a model the weights."""
        for variable, value in zip(model.weights, self.weights, strict=True):
            variable.assign(value)

    def put_optimizer(self, model: keras.Model, but: Collection[int] = ()) -> None:
        """Gives a model's optimizer its state, `but` variables of these ids."""
        for variable, value in zip(_variables(model), self.optimizer, strict=True):
            if id(variable) not in but:
                variable.assign(value)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns the state as arrays for a file."""
        weights = {f"weight/{at:05d}": one for at, one in enumerate(self.weights)}
        optimizer = {f"optimizer/{at:05d}": one for at, one in enumerate(self.optimizer)}
        return {"names": np.array(self.names, dtype=np.str_), **weights, **optimizer}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "TrainingState":
        """Finds the state among the arrays of a file."""
        weights, optimizer = (
            tuple(arrays[name] for name in sorted(arrays) if name.startswith(f"{kind}/"))
            for kind in ("weight", "optimizer")
        )
        return cls(tuple(arrays["names"].tolist()), weights, optimizer)


def value_of(variable) -> np.ndarray:
    """Copies a variable; types that NumPy does not have become float32, which holds them."""
    value = np.array(keras.ops.convert_to_numpy(variable.value))
    return value.astype(np.float32) if value.dtype.kind == "V" else value


def _variables(model: keras.Model) -> list[Any]:
    optimizer = built_optimizer(model)
    return [] if optimizer is None else list(optimizer.variables)
