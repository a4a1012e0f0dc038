"""Arrays of a run's folder that are what is left of others, and networks that make room."""

import errno
import json
import os
import shutil

import keras
import ml_dtypes  # noqa: F401  NumPy knows bfloat16 by it.
import numpy as np
import pytest
from fitting import digit_model, leftovers
from training import flat_digits, same, state_of

from keras_snare import SnapshotError, SnareCallback, compress, load_candidate
from keras_snare.search import RunDirectory

TRAIN, VALIDATION = flat_digits(200, 100)
SETTINGS = {"first_step": 0.3, "retrain_epochs": 2, "eps": 0.05, "verbose": 0, "seed": 3}


def files(folder):
    return {file.name for file in (folder / "arrays").iterdir()}


def fresh():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = digit_model(run_eagerly=True)
    model.fit(*TRAIN, epochs=3, batch_size=50, verbose=0)
    return model


class Networks:
    """Trains as Keras does, and keeps the networks as they were on the way, by their parameters."""

    def __init__(self, stop=None):
        self.stop, self.left, self.seen = stop, stop, {}

    def __call__(self, model, train, epoch):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        model.fit(*train, batch_size=50, initial_epoch=epoch, epochs=epoch + 1, verbose=0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "complex128"])
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (0, 1, 2)], ids=str)
def test_what_is_left_is_stored_as_positions(tmp_path, dtype, axes):
    random, directory = np.random.default_rng(1), RunDirectory(tmp_path)
    raw = random.integers(0, 256, 6 * 5 * 4 * np.dtype(dtype).itemsize).astype("uint8")
    whole = raw.view(dtype).reshape(6, 5, 4)
    reference, left = directory.put(whole), whole
    for step in range(2):  # A part of a part, too.
        keep = {at: np.sort(random.permutation(left.shape[at])[: 3 - step]) for at in axes}
        for axis, positions in keep.items():
            left = left.take(positions, axis=axis)
        before = files(tmp_path)
        reference = json.loads(json.dumps(directory.put_part(left, reference, keep)))
        assert [one is not None for one in reference["take"]] == [at in axes for at in range(3)]
        assert len(files(tmp_path) - before) <= len(axes)
        found = directory.get(reference)
        assert (found.dtype, found.tobytes()) == (left.dtype, left.tobytes())
        assert directory.shape(reference) == left.shape
    directory.write({"one": reference})
    assert directory.get(reference).tobytes() == left.tobytes()


@pytest.mark.parametrize("at", [(0, 0), (1500, 1), (2999, 499)], ids=str)
def test_a_single_other_bit_has_an_array_stored_whole(tmp_path, at):
    directory = RunDirectory(tmp_path)
    whole = np.random.default_rng(0).normal(size=(4000, 1000)).astype("float32")  # several blocks
    keep = {0: np.arange(3000) + 500, 1: np.arange(500) * 2}
    reference, left = directory.put(whole), whole[keep[0]][:, keep[1]]
    assert "take" in directory.put_part(left, reference, keep)
    left.view("uint32")[at] ^= 1
    stored = directory.put_part(left, reference, keep)
    assert "take" not in stored
    assert directory.get(stored).tobytes() == left.tobytes()


def test_another_shape_or_type_is_stored_whole(tmp_path):
    directory, whole = RunDirectory(tmp_path), np.arange(12, dtype="float32").reshape(4, 3)
    reference, keep = directory.put(whole), {0: np.array([0, 2])}
    for array in (whole[[0, 2]].astype("float64"), whole[:1], whole[[0, 2]][:, :2]):
        assert "take" not in directory.put_part(array, reference, keep)


def test_a_part_of_a_damaged_array_is_refused(tmp_path):
    directory, whole = RunDirectory(tmp_path), np.arange(12, dtype="float32")
    reference, keep = directory.put(whole), {0: np.array([0, 2])}
    part = directory.put_part(whole[[0, 2]], reference, keep)
    for name in (part["array"], part["take"][0]["array"]):
        file = tmp_path / "arrays" / f"{name}.npy"
        content = file.read_bytes()
        for damaged in (content[:-1], content[:-1] + b"x", b""):
            file.write_bytes(damaged)
            for look in (directory.get, directory.shape):
                with pytest.raises(SnapshotError, match=f"{name}.npy is missing or damaged"):
                    look(part)
        file.unlink()
        with pytest.raises(SnapshotError, match="FileNotFoundError"):
            directory.get(part)
        file.write_bytes(content)


def test_a_record_of_the_first_format_is_read(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.write({"one": directory.put(np.arange(3))})
    text = directory.record_path.read_text()
    directory.record_path.write_text(text.replace('"format": 2', '"format": 1'))
    record = RunDirectory(tmp_path).read()
    np.testing.assert_array_equal(directory.get(record["one"]), np.arange(3))


@pytest.fixture(scope="module")
def cut_only(tmp_path_factory):
    """A run all of whose networks were accepted as they were cut."""
    folder = tmp_path_factory.mktemp("cut")
    model, report = compress(
        fresh(), TRAIN, VALIDATION, **{**SETTINGS, "eps": 0.99}, directory=folder
    )
    return folder, model, report


def test_networks_that_were_only_cut_store_no_weights_again(cut_only):
    folder, _, report = cut_only
    assert report.accepted >= 5
    assert all(row.epochs == 0 for row in report.rows)
    record = RunDirectory(folder).read()
    base = {one["array"] for one in record["accepted"][0]["values"]}
    assert all({one["array"] for one in kept["values"]} <= base for kept in record["accepted"])
    assert any("take" in one for one in record["network"]["values"])


def test_they_come_back_to_the_bit(cut_only):
    folder, model, report = cut_only
    whole, last = load_candidate(folder, 0), load_candidate(folder)
    assert same(last.get_weights(), model.get_weights())
    first = load_candidate(folder, 1).get_weights()
    changed = next(row for row in report.rows)
    assert sum(one.size for one in first) == changed.params
    for one, other in zip(first, whole.get_weights(), strict=True):
        assert np.isin(one, other).all()


def killed_and_resumed(folder, stop):
    with pytest.raises(KeyboardInterrupt):
        compress(fresh(), TRAIN, VALIDATION, **SETTINGS, directory=folder, fit=Networks(stop))
    stored = RunDirectory(folder).read()["network"]["values"]
    model, report = compress(
        fresh(), TRAIN, VALIDATION, **SETTINGS, directory=folder, fit=Networks()
    )
    return model, report, any("take" in one for one in stored)


@pytest.mark.slow
def test_a_run_goes_on_from_parts(tmp_path):
    expected, report = compress(fresh(), TRAIN, VALIDATION, **SETTINGS, fit=Networks())
    parts = []
    for stop in (1, 3, 6):
        model, found, part = killed_and_resumed(tmp_path / str(stop), stop)
        assert same(state_of(model), state_of(expected))
        assert found.to_json() == report.to_json()
        assert leftovers(model) == []
        parts.append(part)
    assert any(parts)


@pytest.mark.slow
def test_a_directory_stays_within_its_limit(tmp_path):
    settings = {**SETTINGS, "first_step": 0.08, "min_step": 0.01, "max_trials": 25}
    whole, report = compress(fresh(), TRAIN, VALIDATION, **settings, directory=tmp_path / "all")
    limited, again = compress(
        fresh(), TRAIN, VALIDATION, **settings, directory=tmp_path / "few", directory_limit=1.2
    )
    assert again.to_json() == report.to_json()
    assert same(state_of(limited), state_of(whole))
    records = {name: RunDirectory(tmp_path / name).read() for name in ("all", "few")}
    accepted = records["few"]["accepted"]
    kept = [at for at, one in enumerate(accepted) if one["values"] is not None]
    assert 0 in kept
    sizes = {name: RunDirectory(tmp_path / name).size(one) for name, one in records.items()}
    assert sizes["few"] <= 1.2 * records["few"]["bytes"] < sizes["all"]
    assert 2 < len(kept) < len(accepted) == len(records["all"]["accepted"])
    for which in (*kept, "best", "smallest"):
        one, other = (load_candidate(tmp_path / name, which) for name in ("all", "few"))
        assert same(one.get_weights(), other.get_weights())
    gone = next(at for at in range(len(accepted)) if at not in kept)
    with pytest.raises(ValueError, match=f"Network {gone} made room for others.*There are: 0, "):
        load_candidate(tmp_path / "few", gone)


@pytest.mark.parametrize("limit", [0.5, "3", True, float("nan")], ids=str)
def test_a_wrong_limit_is_told(tmp_path, limit):
    with pytest.raises(ValueError, match="`directory_limit` is None, or a number, 1 or more"):
        SnareCallback(directory=tmp_path, directory_limit=limit)


def test_a_limit_needs_a_directory():
    with pytest.raises(ValueError, match="directory_limit=3, directory=None"):
        SnareCallback(directory_limit=3)


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_disk_that_gets_full_in_a_save(tmp_path, monkeypatch, after):
    """Counted are the files of saves after the search has begun."""
    model, real, left = fresh(), os.replace, [0]

    def replace(source, target):
        if (tmp_path / "run.json").exists():
            left[0] += 1
        if left[0] > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(SnapshotError, match=r"(run\.json|\.npy) cannot be written .*No space"):
            compress(model, TRAIN, VALIDATION, **SETTINGS, directory=tmp_path)
    directory = RunDirectory(tmp_path)
    record = directory.read()
    for which in range(len(record["accepted"])):
        assert load_candidate(tmp_path, which).count_params() == record["accepted"][which]["params"]
    before = files(tmp_path)
    directory.clear()
    assert files(tmp_path) == before  # What the failed save had written is gone.
    assert leftovers(model) == []
    assert np.isfinite(model.evaluate(*VALIDATION, verbose=0)[0])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file", "`directory` is a folder. Received: the file .*file"),
        ("file/run", "file/run cannot be written"),
        ("/proc/keras_snare_run", "/proc/keras_snare_run cannot be written"),
    ],
    ids=["file", "in a file", "no place"],
)
def test_a_place_that_cannot_be_written_is_told_before_any_training(tmp_path, path, message):
    (tmp_path / "file").write_text("a file")
    model = fresh()
    before = state_of(model)
    with pytest.raises(SnapshotError, match=message):
        compress(model, TRAIN, VALIDATION, **SETTINGS, directory=tmp_path / path)
    assert same(before, state_of(model))


def test_a_candidate_of_a_damaged_folder_leaves_a_given_model(cut_only, tmp_path):
    folder = shutil.copytree(cut_only[0], tmp_path / "run")
    for file in (folder / "arrays").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    model = fresh()
    before = state_of(model)
    with pytest.raises(SnapshotError, match=r"\.npy is missing or damaged"):
        load_candidate(folder, model=model)
    assert same(before, state_of(model))
