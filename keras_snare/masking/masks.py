"""Masks: which connections of a network are kept, as plain data."""

import math
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.errors import InvalidPlanError, SnapshotError
from keras_snare.masking.archive import MAX_BYTES, load_arrays, save_arrays
from keras_snare.masking.kernels import Kernel, kernels_of

_KIND = "masks 1"


class Masks(Mapping[str, np.ndarray]):
    """Which connections are kept, by kernel.

    Masks are a mapping from the name of a kernel, such as `"dense1/kernel"`, to an array of its
    shape that is True where the connection is kept.

    Args:
        kept: such a mapping.

    Example:

    >>> masks = keras_snare.Masks({"dense/kernel": [[True, False], [False, False]]})
    >>> masks.sparsity
    0.75
    """

    def __init__(self, kept: Mapping[str, Any]) -> None:
        self._kept = {name: np.array(one, dtype=bool) for name, one in kept.items()}

    @classmethod
    def of(cls, model: keras.Model, layers: Any = None) -> "Masks":
        """Returns the masks of a model whose pruned connections are zeros.

        Args:
            model: a built Keras model.
            layers: which layers, as `SnareCallback` takes them.
        """
        return cls({one.name: _values(one) != 0 for one in kernels_of(model, layers)})

    def __getitem__(self, name: str) -> np.ndarray:
        return self._kept[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def sparsity(self) -> float:
        """Share of the connections that are pruned."""
        size = sum(one.size for one in self._kept.values())
        return 1 - self.kept / max(size, 1)

    @property
    def kept(self) -> int:
        """Number of connections that are kept."""
        return sum(int(one.sum()) for one in self._kept.values())

    def both(self, other: "Masks") -> "Masks":
        """Returns masks that keep what both keep, of the same kernels."""
        return Masks({name: kept & other[name] for name, kept in self.items()})

    def apply(self, model: keras.Model) -> None:
        """Sets the pruned connections of a model to zero.

        Raises:
            InvalidPlanError: when a kernel is missing or has another shape; nothing has changed.
        """
        for kernel in self.kernels(model):
            kernel.variable.assign(np.where(self[kernel.name], _values(kernel), 0))

    def kernels(self, model: keras.Model) -> list[Kernel]:
        """Returns the kernels of a model that are masked.

        Raises:
            InvalidPlanError: when one is missing or has another shape.
        """
        known = {one.name: one for one in kernels_of(model)}
        for name, mask in self._kept.items():
            if name not in known:
                raise InvalidPlanError(
                    f"The masks name the kernel {name!r}, which model {model.name!r} does not have "
                    f"or does not train. Its kernels: {', '.join(known)}. Build it with the same "
                    "names of layers."
                )
            if known[name].shape != mask.shape:
                raise InvalidPlanError(
                    f"The mask of kernel {name!r} has the shape {mask.shape}, the kernel has the "
                    f"shape {known[name].shape}. Give masks of this network."
                )
        return [known[name] for name in self._kept]

    def shuffled(self, seed: int = 0) -> "Masks":
        """Returns random masks that keep as many connections of each kernel.

        They are the control for what it is worth which connections are kept.
        """
        found = {}
        for name, kept in self._kept.items():
            random = np.random.default_rng([seed, zlib.crc32(name.encode())])
            found[name] = random.permutation(kept.reshape(-1)).reshape(kept.shape)
        return Masks(found)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the masks into an `.npz` file, a bit for a connection.

        Raises:
            SnapshotError: when the file cannot be written.
        """
        save_arrays(path, _KIND, self.to_arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> "Masks":
        """Reads masks that `save` wrote.

        Args:
            path: the file.
            max_bytes: int, how many bytes of it may be unpacked, a bit for a connection; a file of
                people whom you do not know may claim any size.

        Raises:
            SnapshotError: when the file is missing, damaged, too large, or holds something else.
        """
        return cls.from_arrays(load_arrays(path, _KIND, max_bytes))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns the masks as arrays for a file, a bit for a connection."""
        packed = {f"mask/{name}": np.packbits(one) for name, one in self._kept.items()}
        shapes = {f"shape/{name}": np.array(one.shape) for name, one in self._kept.items()}
        return {**packed, **shapes}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Masks":
        """Finds the masks among the arrays of a file."""
        found = {}
        for key, packed in arrays.items():
            part, _, name = key.partition("/")
            if part == "mask":
                found[name] = _unpacked(name, packed, arrays[f"shape/{name}"])
        return cls(found)

    def __repr__(self) -> str:
        counts = f"{self.kept:,} connections kept, {self.sparsity:.4f} pruned"
        return f"Masks({len(self)} kernels, {counts})"


def _unpacked(name: str, packed: np.ndarray, shape: np.ndarray) -> np.ndarray:
    sizes = [int(one) for one in shape]
    count = math.prod(sizes)
    if min(sizes, default=1) < 0 or packed.nbytes != -(-count // 8):
        raise SnapshotError(
            f"The mask of {name} is damaged: {packed.nbytes:,} bytes are no bits of a kernel of "
            f"the shape {tuple(sizes)}. Restore the file from a copy."
        )
    return np.unpackbits(packed, count=count).reshape(sizes).astype(bool)


def whole_masks(model: keras.Model, kernels: list[Kernel], masks: Masks | None) -> Masks:
    """Returns masks for every kernel; one that `masks` do not name is kept whole.

    Raises:
        InvalidPlanError: when they name another kernel, or one of another shape.
    """
    whole = {one.name: np.ones(one.shape, dtype=bool) for one in kernels}
    if masks is None:
        return Masks(whole)
    masks.kernels(model)
    foreign = [name for name in masks if name not in whole]
    if foreign:
        raise InvalidPlanError(
            f"The masks name the kernel {foreign[0]!r}, which is not pruned here: "
            f"{', '.join(sorted(whole))}. Choose the same `layers` as they were made with."
        )
    return Masks({**whole, **masks})


def _values(kernel: Kernel) -> np.ndarray:
    return keras.ops.convert_to_numpy(kernel.variable.value)
