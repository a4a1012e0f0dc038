"""A model that a search accepted, as data: what was cut since the base, and its values."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.errors import SnapshotError
from keras_snare.search.run_directory import RunDirectory
from keras_snare.surgery import built_optimizer


def fingerprint(model) -> str:
    """Returns a digest of a model's architecture: its configuration, and every weight's shape.

    Subclassed models without a configuration are known by their class and their weights.
    """
    try:
        config = model.get_config()
    except NotImplementedError:
        config = type(model).__name__
    weights = [[one.path, list(one.shape), str(one.dtype)] for one in model.weights]
    text = json.dumps([config, weights], sort_keys=True, default=_kind)
    return hashlib.sha256(text.encode()).hexdigest()


def held_variables(model) -> list[Any]:
    """The variables of a model and its optimizer, in the order in which they are stored."""
    optimizer = built_optimizer(model)
    return [*model.weights, *(optimizer.variables if optimizer is not None else ())]


def random_states(model) -> list[Any]:
    """The variables that hold the states of random generators."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


@dataclass(frozen=True, eq=False)
class StoredValues:
    """Values of a model and its optimizer, read from a run's directory.

    Args:
        names: path of each variable.
        arrays: its value.
    """

    names: list[str]
    arrays: list[np.ndarray]

    @classmethod
    def read(cls, record: dict, directory: RunDirectory) -> "StoredValues":
        """Reads what `store_values` returned.

        Raises:
            SnapshotError: when a file is missing or damaged.
        """
        return cls(record["names"], [directory.get(one) for one in record["values"]])

    def put_into(self, variables: Sequence[Any], directory: RunDirectory) -> None:
        """Assigns the values; the variables have to be those that were stored.

        Raises:
            SnapshotError: when they are not; nothing is assigned then.
        """
        stored = list(zip(self.names, (one.shape for one in self.arrays), strict=True))
        given = [(one.path, tuple(one.shape)) for one in variables]
        if stored != given:
            pairs = [(str(one), str(other)) for one, other in zip(stored, given, strict=False)]
            counts = (f"{len(stored)} variables", f"{len(given)}")
            one, other = next((pair for pair in pairs if pair[0] != pair[1]), counts)
            raise SnapshotError(
                f"{directory.record_path} holds other variables than the model and its optimizer: "
                f"{one} in place of {other}. Compile the model as in the run that was stored, or "
                "give another directory."
            )
        for variable, array in zip(variables, self.arrays, strict=True):
            variable.assign(array)


def store_values(pairs: Sequence[tuple[Any, Any]], directory: RunDirectory) -> dict:
    """Stores variables and returns the record of them.

    Args:
        pairs: each variable, and its value.
        directory: where to.
    """
    arrays = [keras.ops.convert_to_numpy(value) for _, value in pairs]
    return {
        "names": [variable.path for variable, _ in pairs],
        "values": [directory.put(array) for array in arrays],
    }


def _kind(value: Any) -> str:
    return type(value).__name__
