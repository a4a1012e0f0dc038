"""A record that says something else than a run goes on from is refused, whatever its checksum."""

import copy
from pathlib import Path

import keras
import pytest
from fitting import digit_model, short_fit
from resuming import killed_run, run, snare

from keras_snare import SnapshotError, load_candidate
from keras_snare.search import RunDirectory
from keras_snare.search.run_record import check_record

# What a run is compared with, tells or leaves to Keras.
FREE = ("settings", "model", "bytes")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Of a run in its warm-up, in its search and at its end."""
    found = []
    for epoch in (1, 5):
        directory = tmp_path_factory.mktemp("run")
        killed_run(snare(directory), "on_epoch_end", epoch)
        found.append(RunDirectory(directory).read())
    directory = tmp_path_factory.mktemp("run")
    run(snare(directory), epochs=14)
    return [*found, RunDirectory(directory).read()]


def places(value, *path):
    """Every place of a record, the deepest first."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, one in entries:
        if path or name not in FREE:
            if isinstance(one, (dict, list)):
                yield from places(one, *path, name)
            yield *path, name


def holder(record, path):
    for name in path[:-1]:
        record = record[name]
    return record


def test_what_runs_store_is_whole(records):
    assert records[0]["best"]
    assert records[0]["search"] is None
    assert records[1]["search"]["statistics"]
    assert records[2]["accepted"]
    for record in records:
        check_record(record, Path("run.json"))


def test_a_value_of_another_kind_is_told_by_its_place(records):
    for record in records:
        found = 0
        for path in places(record):
            changed = copy.deepcopy(record)
            holder(changed, path)[path[-1]] = False
            with pytest.raises(SnapshotError, match=r"run\.json is damaged \(") as error:
                check_record(changed, Path("run.json"))
            names = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path)
            assert f"run{names}" in str(error.value)
            found += 1
        assert found > 50


def test_what_is_missing_is_told(records):
    for record in records:
        for path in places(record):
            parent = holder(record, path)
            if isinstance(parent, list) or path[-2:-1] in (("keep",), ("steps",), ("statistics",)):
                continue
            if path[-1] == "take":
                continue
            changed = copy.deepcopy(record)
            del holder(changed, path)[path[-1]]
            with pytest.raises(SnapshotError, match=f"{path[-1]} is missing"):
                check_record(changed, Path("run.json"))


def test_a_report_that_is_none_is_told(records):
    changed = copy.deepcopy(records[2])
    changed["search"]["report"] = "{}"
    with pytest.raises(SnapshotError, match=r"CompressionReport\.to_json"):
        check_record(changed, Path("run.json"))
    changed = {**records[2], "accepted": []}
    with pytest.raises(SnapshotError, match="accepted is empty"):
        check_record(changed, Path("run.json"))


@pytest.mark.parametrize("missing", ["network", "policy"])
def test_a_run_and_its_networks_are_refused(tmp_path, missing):
    killed_run(snare(tmp_path), "on_epoch_end", 5)
    directory = RunDirectory(tmp_path)
    record = directory.read()
    del (record if missing in record else record["search"])[missing]
    directory.write(record)
    with pytest.raises(SnapshotError, match=f"{missing} is missing"):
        load_candidate(tmp_path)
    keras.utils.clear_session(free_memory=False)
    with pytest.raises(SnapshotError, match=f"{missing} is missing"):
        short_fit(digit_model(run_eagerly=True), [snare(tmp_path)], epochs=14)
