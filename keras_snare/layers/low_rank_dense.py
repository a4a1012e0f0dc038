"""A dense layer through a narrow middle."""

from typing import Any

import keras
from keras import ops

from keras_snare.arguments import check_count
from keras_snare.layers.dense_form import DenseForm


@keras.saving.register_keras_serializable(package="keras_snare")
class LowRankDense(DenseForm):
    """A dense layer whose kernel is a product of two narrow matrices, (features, rank, units).

    Args:
        units: int, features that come out.
        rank: int, width of the middle; below features · units / (features + units) it saves
            weights, and time.
        activation: as of `keras.layers.Dense`, like `use_bias`, the initializers, regularizers and
            constraints; those of the kernel are of both factors.
        use_bias: bool, whether a bias is added.
        **kwargs: see `keras.layers.Dense`.

    Input shape:
        `(batch, ..., features)`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: when an argument is out of range.

    Example:

    >>> layer = keras_snare.layers.LowRankDense(512, rank=8)
    >>> layer(np.ones((1, 784))).shape, layer.count_params()
    (TensorShape([1, 512]), 10880)

    Reference:
        Sainath et al., "Low-rank Matrix Factorization for Deep Neural Network Training with
        High-Dimensional Output Targets", ICASSP 2013.
    """

    def __init__(
        self,
        units: int,
        rank: int,
        activation: Any = None,
        use_bias: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, *args, **kwargs)
        check_count("rank", rank)
        self.rank = int(rank)

    def build_kernel(self, features: int) -> None:
        self.first = self._add_kernel("first", (features, self.rank))
        self.second = self._add_kernel("second", (self.rank, self.units))

    def times_kernel(self, inputs: Any) -> Any:
        return ops.matmul(ops.matmul(inputs, self.first), self.second)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank}
