"""A model that a search accepted, as data: what was cut since the base, and its values."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_snare.errors import SnapshotError
from keras_snare.search.run_directory import RunDirectory
from keras_snare.surgery import Stayed, array_of, built_optimizer
from keras_snare.surgery.optimizers import moving_averages


def fingerprint(model: keras.Model) -> str:
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


def configuration(model: keras.Model) -> dict | None:
    """Returns what Keras builds a model anew from, as plain data; None where it has nothing."""
    try:
        stated = keras.saving.serialize_keras_object(model)
        return json.loads(json.dumps(stated, allow_nan=False))
    except (NotImplementedError, TypeError, ValueError):
        return None


def held_variables(model: keras.Model) -> list[tuple[str, Any]]:
    """The variables of a model and its optimizer, by name, in the order in which they are stored.

    The optimizer's own name is left out: Keras counts them in a process.
    """
    optimizer = built_optimizer(model)
    slots = optimizer.variables if optimizer is not None else ()
    return [
        *((one.path, one) for one in model.weights),
        *((f"optimizer/{one.path.partition('/')[2]}", one) for one in slots),
    ]


def left_values(model: keras.Model, values: list) -> list:
    """Returns those of the weights as `fit` leaves them: averages, where the optimizer has some.

    Args:
        model: the model.
        values: one for each of `held_variables`.
    """
    averages = moving_averages(model.optimizer)
    places = {id(one): at for at, (_, one) in enumerate(held_variables(model))}
    left = [averages.get(id(weight), weight) for weight in model.weights]
    return [values[places[id(one)]] for one in left]


def bytes_of(model: keras.Model) -> int:
    """Bytes of the values of a model and its optimizer."""
    held = [one for _, one in held_variables(model)]
    return sum(math.prod(one.shape) * np.dtype(one.dtype).itemsize for one in held)


def random_states(model: keras.Model) -> list[Any]:
    """The variables that hold the states of random generators."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


@dataclass(frozen=True, eq=False)
class StoredValues:
    """Values of a model and its optimizer in a run's directory.

    Args:
        names: of each variable, as `held_variables` has them.
        references: to its value.
        shapes: of the values.
    """

    names: list[str]
    references: list[dict[str, Any]]
    shapes: list[tuple[int, ...]]

    @classmethod
    def check(cls, record: dict, directory: RunDirectory) -> "StoredValues":
        """Finds what `store_values` returned, all of it; it is read when it is needed.

        Raises:
            SnapshotError: when a file is missing or damaged.
        """
        references = record["values"]
        return cls(record["names"], references, [directory.shape(one) for one in references])

    def put_into(
        self, held: Sequence[tuple[str, Any]], directory: RunDirectory, *, by_path: bool = True
    ) -> None:
        """Assigns the values; the variables have to be those that were stored.

        Args:
            held: name and variable, as `held_variables` returns them.
            directory: of the run.
            by_path: whether whole paths are compared, or only how each variable itself is called:
                what Keras builds from a configuration lies under other names than a user's model.

        Raises:
            SnapshotError: when they are not; nothing is assigned then. When a file has been damaged
                since `check`; some are assigned then.
        """

        def name_of(path: str) -> str:
            return path if by_path else path.rpartition("/")[2]

        names = map(name_of, self.names)
        stored = list(zip(names, self.shapes, strict=True))
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
        for (_, variable), reference in zip(held, self.references, strict=True):
            variable.assign(directory.get(reference))


def store_values(
    held: Sequence[tuple[str, Any]],
    values: Sequence[Any],
    directory: RunDirectory,
    before: dict | None,
    stayed: Stayed,
) -> dict:
    """Stores values of variables and returns the record of them.

    Args:
        held: name and variable, as `held_variables` returns them.
        values: the value of each.
        directory: where to.
        before: a network that is stored there, which these values may be a part of, or None.
        stayed: which positions of it are left.
    """
    whole = dict(zip(before["names"], before["values"], strict=True)) if before else {}

    def store(name: str, variable: Any, value: Any) -> dict:
        other, left = whole.get(name), stayed.of(variable)
        if other is not None and (left or "take" in other):
            return directory.put_part(array_of(value), other, left)
        return directory.put(array_of(value))

    pairs = zip(held, values, strict=True)
    stored = [store(*one, value) for one, value in pairs]
    return {"names": [name for name, _ in held], "values": stored}


def check_belongs(
    record: dict, file: Path, model: keras.Model, known_as: str, settings: dict[str, Any]
) -> None:
    """Checks that a record is of a model and of settings.

    Args:
        record: of a run.
        file: where it was read.
        model: the model.
        known_as: its fingerprint.
        settings: what decides the course of the search.

    Raises:
        SnapshotError: when it is not.
    """
    if known_as not in (record["base"], record["network"]["fingerprint"]):
        raise SnapshotError(
            f"{file} is the run of another model: {model.name!r} is neither as that run found its "
            "model nor as it left it. Build the same model (in one process, after "
            "keras.utils.clear_session(), so that layers have the same names), or give another "
            "directory."
        )
    for name, stored in record["settings"].items():
        if settings.get(name) != stored:
            raise SnapshotError(
                f"{file} is a run with {name}={stored!r}. Received: {name}={settings.get(name)!r}. "
                "Give the same, or another directory."
            )


def _kind(value: Any) -> str:
    return type(value).__name__
