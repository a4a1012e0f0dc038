"""A convolution as one along the height, then one along the width."""

import keras
import numpy as np

from keras_snare.factorize.factors import Factors, Moments, Part, Ranks, balanced, halves, principal
from keras_snare.factorize.tucker import roots


class Spatial(Factors):
    """Singular value decomposition of a Conv2D between its two axes: k by 1, then 1 by k.

    With data, the channels are weighted by what they carry at one place; what is lost is measured
    over all taps together.

    Reference:
        Jaderberg et al., "Speeding up Convolutional Neural Networks with Low Rank Expansions", BMVC
        2014.
    """

    method = "spatial"

    def __init__(
        self, layer: keras.layers.Layer, kernel: np.ndarray, moments: Moments | None
    ) -> None:
        super().__init__(layer, kernel, moments)
        root, self._inverse = roots(kernel.shape[-2], moments)
        self._weighted = self._mixed(root, self.matrices()[0])
        self._vectors, energies = principal(self._weighted)
        self.energies = (energies,)

    def matrices(self) -> tuple[np.ndarray, ...]:
        high, wide, channels, units = self.kernel.shape
        return (self.kernel.transpose(0, 2, 1, 3).reshape(high * channels, wide * units),)

    def params(self, ranks: Ranks) -> int:
        return ranks[0] * sum(self.matrices()[0].shape)

    def parts(self, ranks: Ranks) -> list[Part]:
        (rank,), layer = ranks, self.layer
        high, wide, channels, units = self.kernel.shape
        left, right = balanced(*self._halves(rank))
        (down, across), (dilated, spread) = layer.strides, layer.dilation_rate
        first = {"kernel_size": (high, 1), "strides": (down, 1), "dilation_rate": (dilated, 1)}
        last = {"kernel_size": (1, wide), "strides": (1, across), "dilation_rate": (1, spread)}
        return [
            Part(left.reshape(high, 1, channels, rank), first),
            Part(right.reshape(rank, 1, wide, units).transpose(1, 2, 0, 3), last),
        ]

    def rebuilt(self, ranks: Ranks) -> np.ndarray:
        high, wide, channels, units = self.kernel.shape
        left, right = self._halves(ranks[0])
        return (left @ right).reshape(high, channels, wide, units).transpose(0, 2, 1, 3)

    def _halves(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """What reads along the height, and what writes along the width."""
        left, right = halves(self._weighted, self._vectors[:, :rank])
        return self._mixed(self._inverse, left), right

    def _mixed(self, mixing: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """The same matrix with the channels of its rows mixed."""
        high, _, channels, _ = self.kernel.shape
        return (mixing @ matrix.reshape(high, channels, -1)).reshape(matrix.shape)
