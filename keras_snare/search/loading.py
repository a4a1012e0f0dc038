"""Accepted networks of a run, given back from its directory."""

import os
from pathlib import Path
from typing import Any

import keras

from keras_snare.arguments import is_whole
from keras_snare.errors import SnapshotError, UnsupportedModelError
from keras_snare.graph import channel_groups
from keras_snare.records import PrunePlan
from keras_snare.report import CompressionReport
from keras_snare.search.candidate import StoredValues, fingerprint, held_variables
from keras_snare.search.keeping import best_of
from keras_snare.search.run_directory import RunDirectory
from keras_snare.search.run_record import check_record
from keras_snare.surgery import InputSelection, remove, removed_channels, take_snapshot

_CHOICES = ("smallest", "best")


def load_candidate(
    directory: str | os.PathLike[str], which: str | int = "smallest", *, model: Any = None
) -> keras.Model:
    """Gives back a network that a search with a `directory` has accepted.

    Every network that a run has accepted stays in its directory, with its weights: the one that the
    search began with, and one for each accepted trial; unless `directory_limit` says otherwise. The
    run may be finished, under way or killed; it is not changed.

    Args:
        directory: of the run, as `SnareCallback` or `compress` was given it.
        which: `"smallest"` for the fewest parameters, `"best"` for the best metric (of equals, the
            smaller), or an int: 0 for the network that the search began with, n for the n-th that
            was accepted, as `report.candidates()` counts them.
        model: None, or a built model like the one that the run began with, which is cut in place.
            Needed where Keras cannot build the model from its configuration.

    Returns:
        The model, compiled as the run's was where Keras can store that; its optimizer is new.

    Raises:
        TypeError, ValueError: when an argument is out of range, or there is no such network, or not
            any more.
        SnapshotError: when there is no run in the directory, its search has not begun, a file of it
            is damaged, or `model` is another one, which stays as it is.
        UnsupportedModelError: when the model cannot be built from its configuration, and none is
            given.

    Example:

    >>> snare = keras_snare.SnareCallback(eps=0.005, directory="run")
    >>> model.fit(x, y, validation_split=0.1, epochs=60, callbacks=[snare])
    >>> smallest = keras_snare.load_candidate("run")
    >>> first = keras_snare.load_candidate("run", 1)
    """
    if not isinstance(directory, (str, os.PathLike)) or directory == "":
        raise TypeError(f"`directory` is the path of a run. Received: directory={directory!r}")
    _check_choice(which)
    path = Path(directory)
    record = _record(path, "no accepted network", "accepted")
    files = RunDirectory(path)
    chosen = _chosen(record, which)
    values = StoredValues.check(chosen, files)
    base = _base(record, files, model)
    undo = take_snapshot(base) if model is not None else None
    try:
        _make(base, record, chosen, values, files)
    except BaseException:
        if undo is not None:
            undo.restore()
        raise
    return base


def stored_report(directory: str | os.PathLike[str]) -> CompressionReport:
    """Returns the report of a search with a `directory`, as far as it went.

    Raises:
        SnapshotError: when there is no run in the directory, its search has not begun, or its
            record is damaged.
    """
    record = _record(Path(directory), "no report", "search")
    return CompressionReport.from_json(record["search"]["report"])


def _record(path: Path, missing: str, needed: str) -> dict:
    """The record of a run, which has `needed`; the directory is not changed."""
    record = RunDirectory(path).read() if (path / "run.json").exists() else None
    if record is not None:
        check_record(record, path / "run.json")
    if record is None or not record[needed]:
        raise SnapshotError(
            f"{path / 'run.json'} holds {missing}: "
            + ("there is no run." if record is None else "the search had not begun.")
        )
    return record


def _check_choice(which: Any) -> None:
    if which not in _CHOICES and not (is_whole(which) and which >= 0):
        raise ValueError(
            "`which` is 'smallest', 'best', or the number of an accepted network, 0 for the one "
            f"that the search began with. Received: which={which!r}"
        )


def _chosen(record: dict, which: str | int) -> dict:
    accepted = record["accepted"]
    if which == "smallest":
        return min(accepted, key=lambda one: one["params"])
    if which == "best":
        return accepted[best_of(accepted, record["settings"]["mode"])]
    if int(which) >= len(accepted):
        raise ValueError(
            f"`which` is a number from 0 to {len(accepted) - 1}: so many networks were accepted. "
            f"Received: which={which!r}"
        )
    chosen = accepted[int(which)]
    if chosen["values"] is None:
        kept = [str(at) for at, one in enumerate(accepted) if one["values"] is not None]
        raise ValueError(
            f"Network {which} made room for others, as `directory_limit` says. There are: "
            f"{', '.join(kept)}. Received: which={which!r}"
        )
    return chosen


def _base(record: dict, files: RunDirectory, model: Any) -> keras.Model:
    """The model as the run found it, with values of its own."""
    if model is not None:
        if not isinstance(model, keras.Model) or not model.built:
            raise TypeError(f"`model` is a built Keras model. Received: {model!r}")
        if fingerprint(model) != record["base"]:
            raise SnapshotError(
                f"{files.record_path} is the run of another model than {model.name!r}. Build the "
                "same model (in one process, after keras.utils.clear_session(), so that layers "
                "have the same names), uncut."
            )
        return model
    if record.get("model") is None:
        raise UnsupportedModelError(
            f"{files.record_path} does not hold the model's configuration: Keras does not know how "
            "to write it down. Give `model`, built like the one that the run began with."
        )
    try:
        return keras.saving.deserialize_keras_object(record["model"])
    except (TypeError, ValueError) as error:
        raise UnsupportedModelError(
            f"The model of {files.record_path} cannot be built from its configuration "
            f"({error}). Register its classes (keras.saving.register_keras_serializable), or give "
            "`model`, built like the one that the run began with."
        ) from error


def _make(
    model: keras.Model, record: dict, chosen: dict, values: StoredValues, files: RunDirectory
) -> None:
    selection = InputSelection(model) if record["settings"]["prune_inputs"] else None
    if selection is not None:
        selection.insert()
    groups = channel_groups(model)
    remove(model, groups, removed_channels(groups, PrunePlan(chosen["keep"])))
    values.put_into(held_variables(model)[: len(model.weights)], files, by_path=False)
    if selection is not None:
        selection.remove_if_idle()
