"""A layer through a narrow middle: what its units have in common first, then the units."""

import keras
import numpy as np

from keras_snare.factorize.factors import (
    POINTWISE,
    Factors,
    Moments,
    Part,
    Ranks,
    balanced,
    directions,
    halves,
    principal,
)


class SVD(Factors):
    """Truncated singular value decomposition, of a convolution too: all taps, then 1 by 1.

    With data, the directions are those along which the outputs of the layer vary most, so that the
    error of the outputs is the least there is.

    Reference:
        Denton et al., "Exploiting Linear Structure Within Convolutional Networks for Efficient
        Evaluation", NeurIPS 2014; Zhang et al., "Accelerating Very Deep Convolutional Networks for
        Classification and Detection", TPAMI 2016, with data.
    """

    method = "svd"

    def __init__(
        self, layer: keras.layers.Layer, kernel: np.ndarray, moments: Moments | None
    ) -> None:
        super().__init__(layer, kernel, moments)
        (matrix,) = self.matrices()
        if moments is None:
            self._vectors, energies = principal(matrix)
        else:
            self._vectors, energies = output_directions(matrix, moments)
        self.energies = (energies[: min(matrix.shape)],)
        # Its parts project the outputs, so that their energies tell what is lost.
        if moments is not None:
            energies = np.sum(self._vectors * (moments.spread @ self._vectors), axis=0)
        tails = np.append(np.cumsum(energies[::-1])[::-1], 0.0)
        self._tails = tails / max(tails[0], 1e-300)

    def matrices(self) -> tuple[np.ndarray, ...]:
        return (self.kernel.reshape(-1, self.kernel.shape[-1]),)

    def params(self, ranks: Ranks) -> int:
        return ranks[0] * sum(self.matrices()[0].shape)

    def parts(self, ranks: Ranks) -> list[Part]:
        (rank,) = ranks
        left, right = balanced(*halves(self.matrices()[0], self._vectors[:, :rank]))
        first = Part(left.reshape(*self.kernel.shape[:-1], rank), {})
        return [first, pointwise(self.layer, right)]

    def rebuilt(self, ranks: Ranks) -> np.ndarray:
        (matrix,) = self.matrices()
        left, right = halves(matrix, self._vectors[:, : ranks[0]])
        return (left @ right).reshape(self.kernel.shape)

    def bias(self, ranks: Ranks) -> np.ndarray:
        if self.moments is None:
            return super().bias(ranks)
        mean, kept = self.moments.mean, self._vectors[:, : ranks[0]]
        return mean - kept @ (kept.T @ mean)

    def tried(self) -> list[Ranks]:
        return self.path()

    def _lost(self, ranks: Ranks) -> float:
        return float(self._tails[ranks[0]])


def output_directions(matrix: np.ndarray, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """The directions of the outputs with most energy on data, `(units, units)`, and the energies.

    Args:
        matrix: the kernel, one column per unit.
        moments: of the data.
    """
    # What data do not show still has to be there at full rank.
    own = matrix.T @ matrix
    spread = moments.spread
    if not np.trace(own) > 0:
        return directions(spread)
    share = max(np.trace(spread), np.finfo("float32").tiny) / np.trace(own)
    return directions(spread + 1e-6 * share * own)


def pointwise(layer: keras.layers.Layer, matrix: np.ndarray) -> Part:
    """A part that sees one position only, and mixes its channels by a matrix."""
    if isinstance(layer, keras.layers.Dense):
        return Part(matrix, {})
    ones = (1,) * layer.rank
    return Part(matrix.reshape(*ones, *matrix.shape), {"kernel_size": 1, **POINTWISE})
