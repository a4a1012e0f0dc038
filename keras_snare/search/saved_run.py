"""A run on disk: what a killed training goes on from."""

import math
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import keras

from keras_snare.errors import SnapshotError
from keras_snare.graph import channel_groups
from keras_snare.records import PrunePlan
from keras_snare.report import CompressionReport
from keras_snare.search.best_epoch import BestEpoch
from keras_snare.search.candidate import (
    StoredValues,
    bytes_of,
    check_belongs,
    configuration,
    fingerprint,
    held_variables,
    left_values,
    random_states,
    store_values,
)
from keras_snare.search.keeping import with_less
from keras_snare.search.run_directory import RunDirectory
from keras_snare.search.run_record import check_record
from keras_snare.search.session import SnareSearch
from keras_snare.search.warmup import Warmup
from keras_snare.surgery import (
    Stayed,
    follow_cuts,
    leave_cuts,
    remove,
    removed_channels,
    take_snapshot,
)


class SavedRun:
    """Writes a search to a directory as it goes, and goes on with one that is there.

    Args:
        path: the directory.
        model: the model that `fit` was given: as it was at the beginning of the stored run, or as
            the run left it.
        settings: what decides the course of the search, as plain data.
        limit: how many times the bytes of the model and its optimizer, uncut, the directory may
            take, or None.

    Attributes:
        epoch: int, epochs that the stored run was trained for; 0 when there is none.
        tuning: int, epochs that it was still to be trained for after its search.
        report: `CompressionReport` of the stored run, None when its search has not begun.

    Raises:
        SnapshotError: when the stored run is damaged, or of another model or other settings.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: keras.Model,
        settings: dict[str, Any],
        limit: float | None = None,
    ) -> None:
        self.directory = RunDirectory(path)
        self.model = model
        self.settings = settings
        self.limit = limit
        self._bytes = 0
        self._record: dict | None = None  # as it was written or read last
        self.epoch = self.tuning = 0
        self.report: CompressionReport | None = None
        self._given = self._base = fingerprint(model)
        self._description = configuration(model)
        self._accepted: list[dict] = []
        self._network: dict | None = None
        self._values: dict[str, StoredValues] = {}
        self._stayed = Stayed(model)  # since the network was stored
        self._found = self.directory.read()
        if self._found is not None:
            self._read(self._found)

    @property
    def found(self) -> bool:
        """Whether there is a stored run that has not been taken up yet."""
        return self._found is not None

    def _read(self, record: dict) -> None:
        """Looks at all that is stored, so that nothing of it can be missing later."""
        check_record(record, self.directory.record_path)
        check_belongs(record, self.directory.record_path, self.model, self._given, self.settings)
        self.epoch, self._base = record["epoch"], record["base"]
        self._description, self.tuning = record["model"], record["tuning"]
        self._accepted, self._network = record["accepted"], record["network"]
        self._record, self._bytes = record, record.get("bytes", 0)
        for name in ("network", "best"):
            if record[name] is not None:
                self._values[name] = StoredValues.check(record[name], self.directory)
        self._statistics = {
            name: self._read_statistics(record[name]) for name in ("search", "best")
        }
        if record["search"] is not None:
            self.report = CompressionReport.from_json(record["search"]["report"])
        self.directory.clear()  # What a save that was killed has left would take up room.

    def _read_statistics(self, record: dict | None) -> dict | None:
        stored = record and record["statistics"]
        return stored and {name: self.directory.get(one) for name, one in stored.items()}

    def resume(
        self, search: SnareSearch, warmup: Warmup, begins: Callable[[bool], None] | None = None
    ) -> BestEpoch | None:
        """Makes model and search what the stored run left.

        Returns the best epoch since the search was over, or None.

        Args:
            search: not begun.
            warmup: not begun.
            begins: called where the stored search had begun: with True while the model is the
                network that it began with, with False where only the cut model is there.

        Raises:
            SnapshotError: when the optimizer is another one; the model is as it was then.
        """
        record = self._found
        assert record is not None, "there is a stored run to resume"
        undo = take_snapshot(self.model)
        try:
            if begins is not None and self.report is not None:
                begins(self._begin_again())
            return self._resume(record, search, warmup)
        except BaseException:
            undo.restore()
            raise
        finally:
            self._found = None
            self._values = {}

    def _begin_again(self) -> bool:
        """Makes the model the network that the search began with; False where it is cut."""
        if self._given != self._base:
            return False
        held = held_variables(self.model)[: len(self.model.weights)]
        StoredValues.check(self._accepted[0], self.directory).put_into(held, self.directory)
        return True

    def _resume(self, record: dict, search: SnareSearch, warmup: Warmup) -> BestEpoch | None:
        plan = PrunePlan(record["network"]["keep"])
        if plan.keep and self._given == record["base"]:
            groups = channel_groups(self.model)
            remove(self.model, groups, removed_channels(groups, plan))
        if self.report is not None:
            search.resume(self.report, record["search"]["policy"], plan, self._statistics["search"])
        best = BestEpoch(self.model, search.objective)
        if record["best"] is not None:
            self._values["best"].put_into(held_variables(self.model), self.directory)
            metric = record["best"]["metric"]
            best.note(math.nan if metric is None else metric, self._statistics["best"])
        warmup.remaining = record["warmup"]
        self._values["network"].put_into(held_variables(self.model), self.directory)
        for variable, state in zip(random_states(self.model), record["random"], strict=True):
            variable.assign(self.directory.get(state))
        self._follow()
        if not warmup.over:
            warmup.best = best
            return None
        return best if record["best"] is not None else None

    def save(
        self,
        epoch: int,
        search: SnareSearch,
        warmup: Warmup,
        afterwards: BestEpoch | None,
        tuning: int,
    ) -> None:
        """Stores the run as it is between two trials.

        Args:
            epoch: int, epochs of training so far.
            search: the search; what it accepted is in the model.
            warmup: the epochs before it.
            afterwards: the best epoch since the search was over, or None.
            tuning: int, epochs that are trained after the search.

        Raises:
            SnapshotError: when the directory cannot be written.
        """
        try:
            self._write(epoch, search, warmup, afterwards, tuning)
        except SnapshotError:
            with suppress(SnapshotError):  # A full disk needs the room, others do not let us.
                self.directory.clear()
            raise

    def _write(self, epoch: int, search, warmup, afterwards, tuning: int) -> None:
        rows = search.report.rows
        rejected = bool(rows) and not rows[-1].accepted and not search.done
        held = bytes_of(self.model)
        self._bytes = self._bytes or held
        if self._network is None or not rejected:
            # What was cut and not trained is a part of what is stored.
            self._make_room(held if not rows or rows[-1].epochs else 0)
            self._network = self._store_network(search)
            self._note_accepted(search, warmup)
        best = afterwards or (None if warmup.over else warmup.best)
        self._record = {
            "settings": self.settings,
            "base": self._base,
            "bytes": self._bytes,
            "model": self._description,
            "epoch": epoch,
            "warmup": warmup.remaining,
            "tuning": tuning,
            "search": self._store_search(search) if warmup.over else None,
            "network": self._network,
            "best": best and self._store_best(best),
            "accepted": self._accepted,
            "random": [self.directory.put(one.numpy()) for one in random_states(self.model)],
        }
        self.directory.write(self._record)
        self._make_room(0)

    def _make_room(self, more: int) -> None:
        """Gives up accepted networks where the directory, with more bytes, would be too large."""
        if self.limit is None or self._record is None or not self._accepted:
            return
        room = int(self.limit * self._bytes) - more - 2 * self.directory.record_size()
        less = with_less(self._record, self.directory, room)
        if less is not None:
            self.directory.write(less)
            self._record, self._accepted = less, less["accepted"]

    def _store_network(self, search: SnareSearch) -> dict:
        held = held_variables(self.model)
        keep = {layer: list(kept) for layer, kept in search.plan.keep.items()}
        values = [variable.value for _, variable in held]
        stored = store_values(held, values, self.directory, self._network, self._stayed)
        self._follow()
        return {"keep": keep, "fingerprint": fingerprint(self.model), **stored}

    def _follow(self) -> None:
        """What is cut from here on is cut from the network that is stored."""
        self.close()
        self._stayed.begin()
        follow_cuts(self.model, self._stayed)

    def close(self) -> None:
        """Takes off the model what followed its cuts."""
        leave_cuts(self.model, self._stayed)

    def _note_accepted(self, search: SnareSearch, warmup: Warmup) -> None:
        """Adds the network to those that were accepted; it is the first when the search begins."""
        assert self._network is not None, "the network was stored"
        trial = max((row.trial for row in search.report.rows if row.accepted), default=0)
        if not warmup.over or (self._accepted and trial <= self._accepted[-1]["trial"]):
            return
        weights = len(self.model.weights)
        self._accepted.append(
            {
                "trial": trial,
                "metric": _stored(search.metric),
                "params": search.cost.params,
                "flops": search.cost.flops,
                "keep": self._network["keep"],
                "names": self._network["names"][:weights],
                "values": left_values(self.model, self._network["values"]),
            }
        )

    def _store_search(self, search: SnareSearch) -> dict:
        return {
            "policy": search.policy.state(),
            "report": search.report.to_json(),
            "statistics": self._store_statistics(search.statistics),
        }

    def _store_best(self, best: BestEpoch) -> dict | None:
        values = best.values()
        if not values:
            return None
        held = held_variables(self.model)
        return {
            "metric": _stored(best.metric),
            "statistics": self._store_statistics(best.statistics),
            **store_values(held, values, self.directory, self._network, self._stayed),
        }

    def _store_statistics(self, statistics: dict | None) -> dict | None:
        return statistics and {name: self.directory.put(one) for name, one in statistics.items()}


def _stored(metric: float) -> float | None:
    """A metric as JSON has it."""
    return metric if math.isfinite(metric) else None
