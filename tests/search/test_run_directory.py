"""A run's folder: arrays come back as they were, once each, and nothing else is left."""

import json

import ml_dtypes
import numpy as np
import pytest

from keras_snare import SnapshotError
from keras_snare.search import RunDirectory

# The last are those that NumPy's own format does not know.
TYPES = (
    "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 complex64 "
    "bfloat16 float8_e4m3fn float8_e5m2"
).split()
SHAPES = [(), (1,), (0,), (5,), (2, 3), (2, 0, 3), (3, 1, 2, 2)]


def stored(directory):
    return sorted(file.name for file in (directory.path / "arrays").iterdir())


def bits(array):
    return array.dtype, array.shape, array.tobytes()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TYPES)
def test_arrays_of_every_type_and_shape_come_back(tmp_path, dtype, shape):
    dtype, directory = np.dtype(dtype), RunDirectory(tmp_path)
    # Any bits, NaN of every kind among them; those of a truth value are 0 or 1.
    raw = np.random.default_rng(len(shape)).integers(0, 2 if dtype.kind == "b" else 256, 16 * 12)
    array = raw.astype("uint8").view(dtype)[: int(np.prod(shape))].reshape(shape)
    for held in (array, array.T, array[::-1] if shape else array):
        reference = json.loads(json.dumps(directory.put(held)))
        assert bits(directory.get(reference)) == bits(held)


def test_another_byte_order_is_kept(tmp_path):
    directory = RunDirectory(tmp_path)
    array = np.arange(3, dtype=">f4")
    np.testing.assert_array_equal(directory.get(directory.put(array)), array)


def test_equal_content_is_stored_once(tmp_path):
    directory = RunDirectory(tmp_path)
    array = np.arange(6, dtype="float32")
    first = directory.put(array)
    file = tmp_path / "arrays" / f"{first['array']}.npy"
    written = file.stat().st_mtime_ns, file.stat().st_ino
    assert directory.put(array.copy()) == RunDirectory(tmp_path).put(array[:]) == first
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == written
    assert stored(directory) == [file.name]
    others = [array.reshape(2, 3), array.astype("float64"), array.view("int32"), array + 1]
    assert len({directory.put(one)["array"] for one in others} | {first["array"]}) == 5
    assert len(stored(directory)) == 5


def test_the_same_bits_of_another_type_share_a_file(tmp_path):
    directory = RunDirectory(tmp_path)
    plain = np.arange(4, dtype="uint16")
    references = [directory.put(one) for one in (plain, plain.view(ml_dtypes.bfloat16))]
    assert len(stored(directory)) == 1
    assert [directory.get(one).dtype.name for one in references] == ["uint16", "bfloat16"]


def test_what_no_record_refers_to_is_deleted(tmp_path):
    directory = RunDirectory(tmp_path)
    kept, nested, gone = (directory.put(np.full(3, value)) for value in (1, 2, 3))
    (tmp_path / "arrays" / "half.npy.7.unfinished").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("of the user")
    directory.write({"one": kept, "deep": [{"more": [nested, None, 3]}], "array": ["no name"]})
    assert stored(directory) == sorted(f"{one['array']}.npy" for one in (kept, nested))
    assert [int(directory.get(one)[0]) for one in (kept, nested)] == [1, 2]
    with pytest.raises(SnapshotError, match="is missing or damaged .FileNotFoundError"):
        directory.get(gone)
    directory.write({"epoch": 2})
    assert stored(directory) == []
    assert RunDirectory(tmp_path).read() == {"epoch": 2}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["arrays", "notes.txt", "run.json"]


@pytest.mark.parametrize("at", [0, 60, -1], ids=["magic", "header", "value"])
def test_an_array_with_another_checksum_is_refused(tmp_path, at):
    directory = RunDirectory(tmp_path)
    reference = directory.put(np.arange(5.0))
    file = tmp_path / "arrays" / f"{reference['array']}.npy"
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    with pytest.raises(SnapshotError, match=rf"{file.name} .*its checksum differs.*Restore the"):
        directory.get(reference)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: {**record, "sha256": "0" * 64}, "its checksum differs"),
        (lambda record: {**record, "run": {"epoch": 4}}, "its checksum differs"),
        (lambda record: {"format": 1, "run": record["run"]}, "KeyError: 'sha256'"),
    ],
    ids="checksum record none".split(),
)
def test_a_record_with_another_checksum_is_refused(tmp_path, change, reason):
    directory = RunDirectory(tmp_path)
    directory.write({"epoch": 3})
    record = json.loads(directory.record_path.read_text())
    directory.record_path.write_text(json.dumps(change(record)))
    with pytest.raises(SnapshotError, match=rf"run\.json is missing or damaged .*{reason}"):
        directory.read()


def test_a_new_folder_holds_no_record(tmp_path):
    assert RunDirectory(tmp_path / "a" / "b").read() is None
