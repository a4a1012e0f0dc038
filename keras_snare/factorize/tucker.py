"""A convolution with few channels, between two that change their number."""

import keras
import numpy as np

from keras_snare.factorize.factors import Factors, Moments, Part, Ranks, balanced, directions
from keras_snare.factorize.svd import output_directions, pointwise

_ROUNDS = 2


class Tucker(Factors):
    """Tucker decomposition on the axes of channels and filters: 1 by 1, all taps, 1 by 1.

    The two sides are fitted to each other in turn (HOOI). With data, the filters' side is that of
    the outputs, and the channels' side is weighted by what the channels carry at one place; what is
    lost is measured over all taps together.

    Reference:
        Kim et al., "Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile
        Applications", ICLR 2016.
    """

    method = "tucker"

    def __init__(
        self, layer: keras.layers.Layer, kernel: np.ndarray, moments: Moments | None
    ) -> None:
        super().__init__(layer, kernel, moments)
        self._root, self._inverse = roots(kernel.shape[-2], moments)
        rows, columns = self.matrices()
        if moments is None:
            self._units, made = directions(columns.T @ columns)
        else:
            self._units, made = output_directions(columns, moments)
        read = directions(self._root @ rows @ rows.T @ self._root)[1]
        # No side can have more directions than the other side and the taps can tell apart.
        self.energies = read[: rows.shape[1]], made[: columns.shape[0]]

    def matrices(self) -> tuple[np.ndarray, ...]:
        channels, units = self.kernel.shape[-2:]
        rows = np.moveaxis(self.kernel, -2, 0).reshape(channels, -1)
        return rows, self.kernel.reshape(-1, units)

    def params(self, ranks: Ranks) -> int:
        channels, units = self.kernel.shape[-2:]
        taps = self.kernel.size // (channels * units)
        return channels * ranks[0] + taps * ranks[0] * ranks[1] + ranks[1] * units

    def parts(self, ranks: Ranks) -> list[Part]:
        layer, (first, core, last) = self.layer, self._product(ranks)
        channels, units = core.shape[-2:]
        flat = np.moveaxis(core, -2, 0).reshape(channels, -1)
        first, flat = balanced(first, flat)
        flat = np.moveaxis(flat.reshape(channels, *core.shape[:-2], units), 0, -2)
        flat, last = balanced(flat.reshape(-1, units), last)
        return [
            pointwise(layer, first),
            Part(flat.reshape(core.shape), {}),
            pointwise(layer, last),
        ]

    def rebuilt(self, ranks: Ranks) -> np.ndarray:
        first, core, last = self._product(ranks)
        return np.moveaxis(np.tensordot(core, first, (-2, 1)), -1, -2) @ last

    def _lost(self, ranks: Ranks) -> float:
        if self.moments is not None:
            return super()._lost(ranks)
        # Both sides are projections, so that the core has the energy that is kept.
        core = self._weighted(*self._sides(ranks))
        return 1 - float(np.sum(core**2) / max(np.sum(self.kernel**2), 1e-300))

    def _product(self, ranks: Ranks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        read, units = self._sides(ranks)
        return self._inverse @ read, self._weighted(read, units), units.T

    def _sides(self, ranks: Ranks) -> tuple[np.ndarray, np.ndarray]:
        """The directions of channels and filters, as columns."""
        units = self._units[:, : ranks[1]]
        read = self._read(units, ranks[0])
        for _ in range(_ROUNDS if self.moments is None else 0):
            seen = np.tensordot(self.kernel, read, (-2, 0))  # Filters, then what is read.
            columns = np.moveaxis(seen, -2, -1).reshape(-1, self.kernel.shape[-1])
            units = directions(columns.T @ columns)[0][:, : ranks[1]]
            read = self._read(units, ranks[0])
        return read, units

    def _weighted(self, read: np.ndarray, units: np.ndarray) -> np.ndarray:
        """The kernel between directions of weighted channels and of filters."""
        core = np.tensordot(self.kernel @ units, self._root @ read, (-2, 0))
        return np.moveaxis(core, -1, -2)

    def _read(self, units: np.ndarray, rank: int) -> np.ndarray:
        """The directions of the channels that the given ones of the filters read most of."""
        narrow = np.moveaxis(self.kernel @ units, -2, 0).reshape(len(self._root), -1)
        rows = self._root @ narrow
        return directions(rows @ rows.T)[0][:, :rank]


def roots(channels: int, moments: Moments | None) -> tuple[np.ndarray, np.ndarray]:
    """The root of the second moments of channels, and its inverse; without data, nothing changes.

    Channels that the data leave out are taken to carry a little.
    """
    if moments is None or moments.patches is None:
        return np.eye(channels), np.eye(channels)
    taps = len(moments.patches) // channels
    blocks = moments.patches.reshape(taps, channels, taps, channels)
    vectors, energies = directions(np.einsum("tatb->ab", blocks) / taps)
    strengths = np.sqrt(energies + max(1e-4 * energies.mean(), np.finfo("float32").tiny))
    return (vectors * strengths) @ vectors.T, (vectors / strengths) @ vectors.T
