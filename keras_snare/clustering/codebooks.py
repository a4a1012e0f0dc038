"""Codebooks: the few values that the weights of a kernel share, and which weight has which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import is_whole
from keras_snare.clustering.k_means import k_means, nearest
from keras_snare.masking.kernels import Kernel, kernels_of
from keras_snare.policy import check_layers


@dataclass(frozen=True, eq=False)
class Codebook:
    """The values of one kernel.

    Args:
        values: float array, the values in order.
        indices: int array of the kernel's shape, the place of each weight's value.
    """

    values: np.ndarray
    indices: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """The weights, an array of the kernel's shape."""
        return self.values[self.indices]


class Codebooks(Mapping[str, Codebook]):
    """The codebooks of a model: a mapping from the name of a kernel, such as `"dense1/kernel"`.

    Args:
        found: such a mapping.
    """

    def __init__(self, found: Mapping[str, Codebook]) -> None:
        self._found = dict(found)

    @classmethod
    def of(cls, model: keras.Model, layers: Any = None) -> "Codebooks":
        """Returns the codebooks of a model as it is, with every value that occurs.

        Args:
            model: a built Keras model.
            layers: which layers, as `SnareCallback` takes them.
        """
        found = {}
        for kernel in kernels_of(model, layers):
            values, indices = np.unique(values_of(kernel), return_inverse=True)
            found[kernel.name] = Codebook(values, indices.reshape(kernel.shape))
        return cls(found)

    def __getitem__(self, name: str) -> Codebook:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {len(one.values)}" for name, one in self.items())
        return f"Codebooks({sizes})"


def cluster_weights(model: keras.Model, clusters: int = 16, *, layers: Any = None) -> Codebooks:
    """Replaces the weights of each kernel by the nearest of a few values, in place.

    Weights that are zero stay zero, and take one of the values. Use it on a trained model, and
    train on with `ClusterCallback`, which keeps the values few.

    Args:
        model: a built Keras model.
        clusters: int, values that a kernel may have, 2 or more; 16 need 4 bits each.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.

    Returns:
        `Codebooks` of the kernels.

    Raises:
        ValueError, TypeError: for arguments out of range, or weights that are not finite; nothing
            has changed then.
        UnsupportedModelError: when the model is not built, or has no kernels; nothing has changed.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dense(2)])
    >>> keras_snare.cluster_weights(model, 4)
    Codebooks(dense/kernel: 4, dense_1/kernel: 4)

    Reference:
        Han et al., "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained
        Quantization and Huffman Coding", ICLR 2016.
    """
    check_clusters(clusters)
    check_layers(layers)
    check_finite(model, layers)
    found = {one.name: _codebook(values_of(one), clusters) for one in kernels_of(model, layers)}
    for kernel in kernels_of(model, layers):
        kernel.variable.assign(found[kernel.name].weights)
    return Codebooks(found)


def check_clusters(clusters: Any) -> None:
    """Checks the argument `clusters`.

    Raises:
        ValueError: when it is no integer of 2 or more.
    """
    if not is_whole(clusters) or clusters < 2:
        raise ValueError(f"`clusters` is an integer, 2 or more. Received: clusters={clusters!r}")


def check_finite(model: keras.Model, layers: Any = None) -> None:
    """Checks the weights that are to be clustered.

    Raises:
        ValueError: when one is NaN or infinite, which is near to no value.
        UnsupportedModelError: when the model is not built, or has no kernels.
    """
    for kernel in kernels_of(model, layers):
        if not np.isfinite(values_of(kernel).astype("float64")).all():
            raise ValueError(
                f"Expected finite weights to cluster. Received: NaN or infinity in {kernel.name}. "
                "Load weights from before, or train with a lower learning rate."
            )


def values_of(kernel: Kernel) -> np.ndarray:
    """Returns the weights of a kernel."""
    return keras.ops.convert_to_numpy(kernel.variable.value)


def _codebook(weights: np.ndarray, clusters: int) -> Codebook:
    kept = weights != 0
    zeros = not kept.all()
    means = k_means(weights[kept], clusters - zeros) if kept.any() else np.zeros(0)
    indices = np.zeros(weights.shape, dtype=np.int32)
    indices[kept] = nearest(weights[kept], means)
    if zeros:
        at = int(np.searchsorted(means, 0.0))
        indices[kept] += indices[kept] >= at
        indices[~kept] = at
        means = np.insert(means, at, 0.0)
    return Codebook(means.astype(weights.dtype), indices)
