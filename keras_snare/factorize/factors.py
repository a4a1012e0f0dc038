"""What the ways to factorise a kernel have in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Ranks = tuple[int, ...]

# What the parts in front of the last one do not have.
_LINEAR = {
    "activation": None,
    "use_bias": False,
    "bias_regularizer": None,
    "bias_constraint": None,
    "activity_regularizer": None,
}
POINTWISE = {"strides": 1, "dilation_rate": 1, "padding": "valid"}


@dataclass(frozen=True, eq=False)
class Moments:
    """What data showed of the inputs and outputs of a layer.

    Args:
        channels: second moments of the channels that it reads, `(channels, channels)`; None of
            those that see one position only.
        mean: of what it computes before bias and activation, `(units,)`.
        spread: covariance of the same, or its second moments where the layer has no bias to make
            up for the mean.
    """

    channels: np.ndarray | None
    mean: np.ndarray
    spread: np.ndarray


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

    def __init__(self, layer, kernel: np.ndarray, moments: Moments | None):
        self.layer = layer
        self.kernel = kernel
        self.moments = moments

    @abstractmethod
    def matrices(self) -> tuple[np.ndarray, ...]:
        """Returns, for each rank, the matrix that it is the rank of."""

    @abstractmethod
    def params(self, ranks: Ranks) -> int:
        """Returns how many weights the kernels of the parts have."""

    @abstractmethod
    def parts(self, ranks: Ranks) -> list[Part]:
        """Returns the layers that stand for the layer, one behind the other."""

    def bias(self, ranks: Ranks) -> np.ndarray:
        """Returns what is to be added to the bias, so that the mean is as it was."""
        return np.zeros(self.kernel.shape[-1])

    @property
    def full(self) -> Ranks:
        """The ranks at which nothing is lost."""
        return tuple(len(one) for one in self.energies)

    def kept(self, ranks: Ranks) -> list[float]:
        """Returns the share of the energy that is kept, for each rank by itself."""
        pairs = zip(self.energies, ranks, strict=True)
        return [float(one[:rank].sum() / max(one.sum(), 1e-300)) for one, rank in pairs]

    def lost(self, ranks: Ranks) -> float:
        """Returns the share of the energy that is lost, at most."""
        return sum(1 - one for one in self.kept(ranks))

    def error(self, ranks: Ranks) -> float:
        """Returns the root of the share of the energy that is lost."""
        return max(self.lost(ranks), 0.0) ** 0.5

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
        return sorted(found)


def built(layer, parts: list[Part], names: list[str], bias: np.ndarray) -> list[Any]:
    """Makes layers that stand for a layer; the last one has its bias, activation and name.

    Args:
        layer: what they stand for.
        parts: what they are.
        names: of each.
        bias: what is added to the bias, if there is one.
    """
    found = []
    for at, (part, name) in enumerate(zip(parts, names, strict=True)):
        last = at == len(parts) - 1
        config = {**layer.get_config(), **({} if last else _LINEAR), **part.settings, "name": name}
        made = type(layer).from_config(config)
        channels, own = part.kernel.shape[-2:]
        made.build(_input_shape(layer, channels))
        made.kernel.assign(part.kernel)
        if made.use_bias:
            before = keras.ops.convert_to_numpy(layer.bias).astype("float64")
            made.bias.assign(before + bias)
        assert own == made.kernel.shape[-1]
        found.append(made)
    return found


def _input_shape(layer, channels: int) -> tuple[int | None, ...]:
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
