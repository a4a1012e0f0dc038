"""Masks as data: figures, files, damage."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from keras_snare import Masks, SnapshotError
from keras_snare.masking.archive import load_arrays, save_arrays


def _masks(seed=0):
    random = np.random.default_rng(seed)
    shapes = {"a/kernel": (3, 5), "b/c/kernel": (2, 2, 3, 7), "d/kernel": (1, 1)}
    return Masks({name: random.random(shape) < 0.3 for name, shape in shapes.items()})


def test_figures():
    masks = Masks({"a": [[1, 0, 0, 0]], "b": [[0, 0], [1, 1]]})
    assert (masks.kept, masks.sparsity) == (3, 0.625)
    assert list(masks) == ["a", "b"]
    assert masks["b"].dtype == bool
    assert repr(masks) == "Masks(2 kernels, 3 connections kept, 0.6250 pruned)"


def test_files_keep_every_bit(tmp_path):
    masks = _masks()
    masks.save(tmp_path / "masks.npz")
    found = Masks.load(tmp_path / "masks.npz")
    assert list(found) == list(masks)
    assert all(np.array_equal(found[name], masks[name]) for name in masks)
    assert [one.name for one in tmp_path.iterdir()] == ["masks.npz"]


def test_a_file_that_is_there_stays_when_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    _masks().save(tmp_path / "masks.npz")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(SnapshotError, match=r"masks.npz cannot be written .*No space left"):
        _masks(1).save(tmp_path / "masks.npz")
    monkeypatch.undo()
    assert np.array_equal(Masks.load(tmp_path / "masks.npz")["a/kernel"], _masks()["a/kernel"])
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(SnapshotError, match="cannot be written"):
        _masks().save(tmp_path / "missing" / "masks.npz")


def test_damaged_missing_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "masks.npz"
    with pytest.raises(SnapshotError, match=r"masks.npz is missing"):
        Masks.load(path)
    path.write_bytes(b"no masks")
    with pytest.raises(SnapshotError, match=r"masks.npz is damaged or no file of masks"):
        Masks.load(path)
    _masks().save(path)
    content = path.read_bytes()
    for at in range(0, len(content), 97):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        try:
            found = Masks.load(path)
        except SnapshotError:
            continue
        # Some bytes of a zip file say nothing, such as its dates.
        assert all(np.array_equal(found[name], _masks()[name]) for name in _masks())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SnapshotError, match="damaged"):
        Masks.load(path)
    np.savez(path, weights=np.ones(3))
    with pytest.raises(SnapshotError, match="no file of masks"):
        Masks.load(path)
    save_arrays(path, "tickets 1", {"a": np.ones(3)})
    with pytest.raises(SnapshotError, match="should hold 'masks 1'. Received: 'tickets 1'"):
        Masks.load(path)
    assert load_arrays(path, "tickets 1")["a"].tolist() == [1, 1, 1]


def test_a_changed_array_is_noticed(tmp_path):
    path = tmp_path / "masks.npz"
    _masks().save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["mask/a/kernel"] = arrays["mask/a/kernel"] ^ 1
    np.savez(path, **arrays)
    with pytest.raises(SnapshotError, match="its checksum differs"):
        Masks.load(path)


def test_a_small_file_that_claims_much_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "large.npz"
    save_arrays(path, "masks 1", {"mask/dense": np.zeros(50_000_000, "uint8")})
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(SnapshotError, match=r"50,\d{3},\d{3} bytes, and 1,000,000 are allowed"):
        Masks.load(path, max_bytes=1_000_000)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path):
    path, header = tmp_path / "claims.npz", io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**50,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mask/dense.npy", header.getvalue())
    with pytest.raises(SnapshotError, match="are allowed"):
        Masks.load(path)


@pytest.mark.parametrize("shape", [(10, 10_000_000_000), (3, 2), (-1, -16)])
def test_shapes_that_are_not_those_of_the_bits_are_refused(tmp_path, shape):
    path = tmp_path / "masks.npz"
    arrays = {"mask/dense": np.zeros(2, "uint8"), "shape/dense": np.array(shape)}
    save_arrays(path, "masks 1", arrays)
    with pytest.raises(SnapshotError, match="The mask of dense is damaged"):
        Masks.load(path)
