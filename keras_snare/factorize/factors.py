"""What the ways to factorise a kernel have in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Ranks = tuple[int, ...]

# What is lost at a rank takes a product of matrices to know, but for SVD.
_MOST_TRIED = 24
# What every part has of the layer, and what the last one has of it.
_SHARED = ("kernel_regularizer", "trainable")
_OF_CONVOLUTIONS = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")
_OF_THE_LAST = (
    "activation",
    "use_bias",
    "bias_regularizer",
    "bias_constraint",
    "activity_regularizer",
)
POINTWISE = {"strides": 1, "dilation_rate": 1, "padding": "valid"}


@dataclass(frozen=True, eq=False)
class Moments:
    """What data showed of the inputs and outputs of a layer.

    Of a layer with a bias, which makes up for the mean, they are covariances; else second moments.

    Args:
        mean: of what it computes before bias and activation, `(units,)`; 0 without a bias.
        spread: of the same, `(units, units)`.
        patches: of what the whole kernel reads at a place, `(taps * channels, taps * channels)`;
            None where it was not asked for.
        center: mean of the same; 0 without a bias.
    """

    mean: np.ndarray
    spread: np.ndarray
    patches: np.ndarray | None = None
    center: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """One of the layers that stand for a layer.

    Args:
        kernel: its kernel.
        settings: arguments that it has other than the layer.
    """

    kernel: np.ndarray
    settings: dict[str, Any]


class Factors(ABC):
    """A kernel as a product, of any rank.

    Args:
        layer: a dense layer or convolution.
        kernel: its kernel, in double precision.
        moments: what is known of its data, or None.

    Attributes:
        method: its name.
        energies: for each rank that is to be chosen, the energy of its directions, falling.
        matrices: for each rank, the shape of the matrix that it is the rank of.
    """

    method: str
    energies: tuple[np.ndarray, ...]

    def __init__(
        self, layer: keras.layers.Layer, kernel: np.ndarray, moments: Moments | None
    ) -> None:
        self.layer = layer
        self.kernel = kernel
        self.moments = moments
        self._losses: dict[Ranks, float] = {}

    @abstractmethod
    def matrices(self) -> tuple[np.ndarray, ...]:
        """Returns, for each rank, the matrix that it is the rank of."""

    @abstractmethod
    def params(self, ranks: Ranks) -> int:
        """Returns how many weights the kernels of the parts have."""

    @abstractmethod
    def parts(self, ranks: Ranks) -> list[Part]:
        """Returns the layers that stand for the layer, one behind the other."""

    @abstractmethod
    def rebuilt(self, ranks: Ranks) -> np.ndarray:
        """Returns the kernel that the parts make together."""

    @property
    def full(self) -> Ranks:
        """The ranks at which nothing is lost."""
        return tuple(len(one) for one in self.energies)

    def bias(self, ranks: Ranks) -> np.ndarray:
        """Returns what is to be added to the bias, so that the mean is as it was."""
        if self.moments is None or self.moments.center is None:
            return np.zeros(self.kernel.shape[-1])
        return self.moments.center @ self._missing(ranks)

    def lost(self, ranks: Ranks) -> float:
        """Returns the share that is lost of the energy: of the kernel, or on data of the outputs.

        On data it is that of the difference between the outputs of the layer and of its parts, by
        the energy of the outputs before the bias; of a layer with a bias, about the means.
        """
        if ranks not in self._losses:
            self._losses[ranks] = min(max(self._lost(ranks), 0.0), 1.0)
        return self._losses[ranks]

    def error(self, ranks: Ranks) -> float:
        """Returns the root of the share of the energy that is lost."""
        return self.lost(ranks) ** 0.5

    def path(self) -> list[Ranks]:
        """Returns ranks from the lowest to the full ones, which lose alike on every side."""
        tails = [
            np.append(one[::-1].cumsum()[::-1], 0.0) / max(one.sum(), 1e-300)
            for one in self.energies
        ]
        found = {
            tuple(max(int(np.sum(tail > level)), 1) for tail in tails)
            for level in np.unique(np.concatenate(tails))
        }
        return sorted(found | {self.full})

    def tried(self) -> list[Ranks]:
        """Returns the path, or as much of it as can be looked at one by one."""
        path = self.path()
        every = np.linspace(0, len(path) - 1, min(len(path), _MOST_TRIED))
        return [path[at] for at in np.unique(every.round().astype(int))]

    def _lost(self, ranks: Ranks) -> float:
        missing, whole = self._missing(ranks), self.kernel.reshape(-1, self.kernel.shape[-1])
        patches = None if self.moments is None else self.moments.patches
        seen = missing if patches is None else patches @ missing
        every = np.sum(whole * (whole if patches is None else patches @ whole))
        return float(np.sum(missing * seen) / max(every, 1e-300))

    def _missing(self, ranks: Ranks) -> np.ndarray:
        """What the kernel has and the parts have not, one column per unit."""
        return (self.kernel - self.rebuilt(ranks)).reshape(-1, self.kernel.shape[-1])


def built(
    layer: keras.layers.Layer, parts: list[Part], names: list[str], bias: np.ndarray
) -> list[Any]:
    """Makes layers that stand for a layer; the last one has its bias, activation and name.

    Args:
        layer: what they stand for.
        parts: what they are.
        names: of each.
        bias: what is added to the bias, if there is one.
    """
    dense = isinstance(layer, keras.layers.Dense)
    found = []
    for at, (part, name) in enumerate(zip(parts, names, strict=True)):
        last = at == len(parts) - 1
        kept = (*_SHARED, *(() if dense else _OF_CONVOLUTIONS), *(_OF_THE_LAST if last else ()))
        channels, units = part.kernel.shape[-2:]
        # No configuration: what it says of objects would have to be found again.
        settings = {one: getattr(layer, one) for one in kept}
        settings |= {"use_bias": last and layer.use_bias, "dtype": layer.dtype_policy, "name": name}
        width = "units" if dense else "filters"
        made = type(layer)(**(settings | part.settings), **{width: units})
        made.build(_input_shape(layer, channels))
        made.kernel.assign(part.kernel)
        if made.use_bias:
            before = keras.ops.convert_to_numpy(layer.bias).astype("float64")
            made.bias.assign(before + bias)
        found.append(made)
    return found


def _input_shape(layer: keras.layers.Layer, channels: int) -> tuple[int | None, ...]:
    if isinstance(layer, keras.layers.Dense):
        return (None, channels)
    open_axes = (None,) * layer.rank
    if layer.data_format == "channels_first":
        return (None, channels, *open_axes)
    return (None, *open_axes, channels)


def balanced(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two factors with columns as long as the rows that they meet; their product stays."""
    norms = np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=1)
    where = (norms[0] > 0) & (norms[1] > 0)
    scale = np.sqrt(np.divide(norms[1], norms[0], where=where, out=np.ones(len(where))))
    return left * scale, right / scale[:, None]


def directions(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the principal directions of second moments, as columns, and the energy of each."""
    energies, vectors = np.linalg.eigh(moments)
    return vectors[:, ::-1], np.maximum(energies[::-1], 0.0)


def halves(matrix: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns a matrix as a product through directions of its rows, or else of its columns."""
    if len(vectors) == matrix.shape[1]:
        return matrix @ vectors, vectors.T
    return vectors, vectors.T @ matrix


def principal(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the directions, of the shorter side, with most energy, and the energy of each."""
    rows, columns = matrix.shape
    return directions(matrix.T @ matrix if columns <= rows else matrix @ matrix.T)
