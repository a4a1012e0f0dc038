"""Which connections stand or fall together, or may not all stay: blocks, and N of M."""

from typing import Any

import numpy as np

from keras_snare.masking.kernels import Kernel


class Pattern:
    """Connections one by one: the pattern that asks for nothing.

    A pattern turns the scores of a kernel into those of parts that are pruned whole, and the choice
    of parts back into a mask.
    """

    @property
    def sparsity(self) -> float | None:
        """The share that the pattern prunes in the end, or None where it takes any."""
        return None

    def check(self, kernel: Kernel, axis: int | None) -> str | None:
        """Returns why a kernel cannot take the pattern, or None."""
        return None

    def parts(self, scores: np.ndarray, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the score of each part and its number of connections, both flat.

        Args:
            scores: of the connections.
            axis: int or None, the axis over which the kernel sums up what it reads.
        """
        flat = scores.reshape(-1)
        return flat, np.ones(flat.shape, dtype=np.int8)

    def mask(self, kept: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Returns the mask that keeps some parts."""
        return kept.reshape(shape)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class NOfM(Pattern):
    """Of every `m` connections in a row along the axis that is summed over, `n` are kept.

    This is what sparse matrix units of processors want: 2 of 4. While the sparsity still grows, the
    lowest of those that will go in the end are pruned first.

    Reference:
        Mishra et al., "Accelerating Sparse Deep Neural Networks", 2021.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n = n
        self.m = m

    @property
    def sparsity(self) -> float:
        """The share that is pruned in the end."""
        return 1 - self.n / self.m

    def check(self, kernel: Kernel, axis: int | None) -> str | None:
        if axis is None:
            return "it sums over no axis of channels"
        if kernel.shape[axis] % self.m:
            return f"the {kernel.shape[axis]} channels that it reads are no multiple of {self.m}"
        return None

    def parts(self, scores: np.ndarray, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
        assert axis is not None, "check() comes first"
        rows = np.moveaxis(scores, axis, -1)
        rows = rows.reshape(*rows.shape[:-1], -1, self.m)
        rank = np.argsort(np.argsort(rows, axis=-1, kind="stable"), axis=-1, kind="stable")
        stays = (rank >= self.m - self.n).reshape(*rows.shape[:-2], -1)
        protected = np.where(np.moveaxis(stays, -1, axis), np.inf, scores)
        return super().parts(protected, axis)


class Block(Pattern):
    """Blocks of a matrix are kept or pruned whole, by the mean of their scores.

    The matrix has what is read as rows and what is made as columns: the last two axes of a kernel.
    A convolution has one at every tap. Blocks at the border may be smaller.

    Reference:
        Gray, Radford and Kingma, "GPU Kernels for Block-Sparse Weights", 2017.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns

    def parts(self, scores: np.ndarray, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
        # What went before, at minus infinity, says nothing about the rest of its block.
        left = scores != -np.inf
        sums, counts = self._sums(np.where(left, scores, 0)), self._sums(left)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
        return means.reshape(-1), self._sums(np.ones(scores.shape)).reshape(-1).astype(np.int64)

    def mask(self, kept: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = shape[-2:]
        blocks = kept.reshape(*shape[:-2], -(-rows // self.rows), -(-columns // self.columns))
        whole = blocks.repeat(self.rows, axis=-2).repeat(self.columns, axis=-1)
        return whole[..., :rows, :columns]

    def _sums(self, values: np.ndarray) -> np.ndarray:
        rows, columns = values.shape[-2:]
        along = np.add.reduceat(values, np.arange(0, rows, self.rows), axis=-2, dtype=np.float64)
        return np.add.reduceat(along, np.arange(0, columns, self.columns), axis=-1)


def get_pattern(pattern: Any, block: Any) -> Pattern:
    """Returns the pattern for the arguments `pattern=(n, m)` and `block=(rows, columns)`.

    Raises:
        ValueError: when they are no pairs of counts, or both are given.
    """
    if pattern is not None and block is not None:
        raise ValueError(
            "Connections are pruned in one pattern. Received both "
            f"pattern={pattern!r} and block={block!r}. Leave one out."
        )
    if pattern is not None:
        n, m = _pair(pattern, "pattern", "`pattern=(n, m)` keeps n of every m connections")
        if n >= m:
            raise ValueError(
                f"`pattern=(n, m)` keeps n of every m connections, n below m. Received: {pattern!r}"
            )
        return NOfM(n, m)
    if block is not None:
        return Block(*_pair(block, "block", "`block=(rows, columns)` is the size of a block"))
    return Pattern()


def _pair(given: Any, name: str, what: str) -> tuple[int, int]:
    pair = tuple(given) if isinstance(given, (tuple, list)) else ()
    if len(pair) != 2 or any(not isinstance(one, int) or one < 1 for one in pair):
        raise ValueError(f"{what}: two integers, 1 or more. Received: {name}={given!r}")
    return pair[0], pair[1]
