"""A stored run that is damaged, or not the one of the model, is refused, and nothing changes."""

import contextlib
import errno
import json
import os
import shutil

import keras
import pytest
from fitting import Bomb, Spy, digit_model, leftovers, short_fit
from resuming import STOP, killed_run, run, snare
from training import flat_digits, same, state_of

from keras_snare import SnapshotError, SnareCallback


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stopped") / "run"
    killed_run(snare(directory), "on_epoch_end", 5)
    return directory


@pytest.fixture
def directory(stopped_run, tmp_path):
    return shutil.copytree(stopped_run, tmp_path / "run")


def refused(callback, match, model=None, **options):
    """Tries to resume; the model has to stay as it is."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = model or digit_model(run_eagerly=True, **options)
    before = state_of(model)
    with pytest.raises(SnapshotError, match=match):
        short_fit(model, [callback], epochs=14)
    assert same(before, state_of(model)[: len(before)])
    assert leftovers(model) == []
    history = short_fit(model, [], epochs=1).epoch
    assert history == [0]


def arrays(directory):
    return sorted((directory / "arrays").iterdir())


def test_a_truncated_record(directory):
    record = directory / "run.json"
    record.write_text(record.read_text()[:-50])
    refused(snare(directory), r"run\.json is missing or damaged .*JSONDecodeError")


def test_a_tampered_record(directory):
    record = directory / "run.json"
    record.write_text(record.read_text().replace('"trials": ', '"trials": 1'))
    refused(snare(directory), r"run\.json is missing or damaged \(its checksum differs\)")


def test_a_record_that_is_none(directory):
    (directory / "run.json").write_bytes(b"\xff\xfe")
    refused(snare(directory), r"run\.json is missing or damaged .*UnicodeDecodeError")
    (directory / "run.json").write_text("[1]")
    refused(snare(directory), r"run\.json is missing or damaged .*TypeError")


def test_a_format_to_come(directory):
    record = directory / "run.json"
    record.write_text(record.read_text().replace('"format": 2', '"format": 3'))
    refused(snare(directory), "is of format 3; this version of keras_snare reads formats up to 2")


def test_damaged_arrays(directory):
    # Of the current network; those of earlier ones are not read.
    used = json.loads((directory / "run.json").read_text())["run"]["network"]["values"]
    file = directory / "arrays" / f"{used[0]['array']}.npy"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    refused(snare(directory), f"{file.name} is missing or damaged .its checksum differs")
    file.write_bytes(content[:-1] + b"x")
    refused(snare(directory), f"{file.name} is missing or damaged .its checksum differs")
    file.unlink()
    refused(snare(directory), f"{file.name} is missing or damaged .FileNotFoundError")


def test_another_model(directory):
    keras.utils.clear_session(free_memory=False)
    other = keras.Sequential([keras.Input((64,)), keras.layers.Dense(16), keras.layers.Dense(10)])
    other.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    refused(snare(directory), r"run\.json is the run of another model: 'sequential'", other)


def test_the_same_shapes_with_another_activation(directory):
    keras.utils.clear_session(free_memory=False)
    other = digit_model(run_eagerly=True)
    other.layers[0].activation = keras.activations.tanh
    refused(snare(directory), "is the run of another model", other)


def test_layers_of_other_names(directory):
    keras.utils.clear_session(free_memory=False)
    config = json.loads(digit_model().to_json().replace("hidden1", "other"))
    other = keras.models.model_from_json(json.dumps(config))
    other.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    refused(snare(directory), "keras.utils.clear_session", other)


@pytest.mark.parametrize(
    "change",
    [
        {"eps": 0.04},
        {"monitor": "val_loss", "mode": "max"},
        {"criterion": "l1_in"},
        {"first_step": 0.5},
        {"min_step": 0.1},
        {"round_to": 2},
    ],
    ids=str,
)
def test_other_settings(directory, change):
    name = next(iter(change))
    refused(snare(directory, **change), rf"run\.json is a run with {name}=.* Received: {name}=")


def test_another_compensation(directory):
    other = snare(directory, compensate="mean", scoring_data=flat_digits(200, 100)[0])
    refused(other, r"is a run with compensate=None. Received: compensate='mean'")


def test_another_optimizer(directory):
    match = "holds other variables than the model and its optimizer: .* Compile the model as"
    refused(snare(directory), match, optimizer=keras.optimizers.SGD(0.1, momentum=0.9))


def test_what_does_not_change_the_course_may_change(directory):
    run(snare(directory, max_trials=7, retrain_epochs=1, verbose=0), epochs=8)


def test_a_directory_that_is_no_path():
    with pytest.raises(TypeError, match="`directory` is a path or None. Received: 3"):
        SnareCallback(directory=3)


def test_a_directory_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("a file")
    spy = Spy()
    with pytest.raises(SnapshotError, match="`directory` is a folder. Received: the file"):
        run(snare(tmp_path / "run"), spy)
    assert not hasattr(spy, "states")


@contextlib.contextmanager
def no_room_for_a_name(monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        yield


@contextlib.contextmanager
def no_room_for_the_whole_file(_monkeypatch):
    """The system itself ends the writing of a file in its middle."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("full", [no_room_for_a_name, no_room_for_the_whole_file])
def test_a_full_disk_leaves_what_was_stored_and_the_model(directory, monkeypatch, full):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model, before = digit_model(run_eagerly=True), (directory / "run.json").read_text()
    with full(monkeypatch), pytest.raises(SnapshotError, match=r"No space left|File too large"):
        short_fit(model, [snare(directory)], epochs=14, shuffle=False)
    assert (directory / "run.json").read_text() == before
    assert not [file for file in directory.rglob("*") if "unfinished" in file.name]
    assert leftovers(model) == []
    run(snare(directory), epochs=14)


def test_what_a_crash_left_half_written_is_cleared_away(directory):
    half = directory / "arrays" / "half.npy.1.unfinished"
    half.write_text("half")
    run(snare(directory), epochs=14)
    assert not half.exists()


def test_an_interrupted_resumption_changes_nothing_on_disk(directory):
    before = (directory / "run.json").read_text()
    killed_run(snare(directory), "on_train_batch_end", 1, epochs=14)
    assert (directory / "run.json").read_text() == before
    with pytest.raises(KeyboardInterrupt):
        run(snare(directory), Bomb("on_epoch_begin", 0, STOP))
    run(snare(directory), epochs=14)
