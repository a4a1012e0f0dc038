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


def configuration(model) -> dict | None:
    """Returns what Keras builds a model anew from, as plain data; None where it has nothing."""
    try:
        stated = keras.saving.serialize_keras_object(model)
        return json.loads(json.dumps(stated, allow_nan=False))
    except (NotImplementedError, TypeError, ValueError):
        return None


def held_variables(model) -> list[tuple[str, Any]]:
    """The variables of a model and its optimizer, by name, in the order in which they are stored.

    The optimizer's own name is left out: Keras counts them in a process.
    """
    optimizer = built_optimizer(model)
    slots = optimizer.variables if optimizer is not None else ()
    return [
        *((one.path, one) for one in model.weights),
        *((f"optimizer/{one.path.partition('/')[2]}", one) for one in slots),
    ]


def random_states(model) -> list[Any]:
    """The variables that hold the states of random generators."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


@dataclass(frozen=True, eq=False)
class StoredValues:
    """Values of a model and its optimizer, read from a run's directory.

    Args:
        names: of each variable, as `held_variables` has them.
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

    def put_into(
        self, held: Sequence[tuple[str, Any]], directory: RunDirectory, *, by_path: bool = True
    ) -> None:
        """Assigns the values; the variables have to be those that were stored.

        Args:
            held: name and variable, as `held_variables` returns them.
            directory: of the run, for messages.
            by_path: whether whole paths are compared, or only how each variable itself is called:
                what Keras builds from a configuration lies under other names than a user's model.

        Raises:
            SnapshotError: when they are not; nothing is assigned then.
        """

        def name_of(path: str) -> str:
            return path if by_path else path.rpartition("/")[2]

        names = map(name_of, self.names)
        stored = list(zip(names, (one.shape for one in self.arrays), strict=True))
        given = [(name_of(path), tuple(one.shape)) for path, one in held]
        if stored != given:
            pairs = [(str(one), str(other)) for one, other in zip(stored, given, strict=False)]
            counts = (f"{len(stored)} variables", f"{len(given)}")
            one, other = next((pair for pair in pairs if pair[0] != pair[1]), counts)
            raise SnapshotError(
                f"{directory.record_path} holds other variables than the model and its optimizer: "
                f"{one} in place of {other}. Compile the model as in the run that was stored, or "
                "give another directory."
            )
        for (_, variable), array in zip(held, self.arrays, strict=True):
            variable.assign(array)


def store_values(
    held: Sequence[tuple[str, Any]], values: Sequence[Any], directory: RunDirectory
) -> dict:
    """Stores values of variables and returns the record of them.

    Args:
        held: name and variable, as `held_variables` returns them.
        values: the value of each.
        directory: where to.
    """
    arrays = [keras.ops.convert_to_numpy(value) for value in values]
    return {
        "names": [name for name, _ in held],
        "values": [directory.put(array) for array in arrays],
    }


def _kind(value: Any) -> str:
    return type(value).__name__
