"""A dense layer whose kernel is a sum of Kronecker products."""

from math import isqrt, prod
from typing import Any

import keras
from keras import ops

from keras_snare.arguments import check_count, is_whole
from keras_snare.layers.dense_form import DenseForm


@keras.saving.register_keras_serializable(package="keras_snare")
class KroneckerDense(DenseForm):
    """A dense layer whose kernel is a sum of Kronecker products of two small matrices.

    With features = a · b and units = c · d, the kernel is the sum over `rank` of A ⊗ B, with A of
    shape (a, c) and B of (b, d). It is of full rank with very few weights, which pays at a
    fiftieth of the kernel and below; at a tenth other forms are better, and it trains slowly. Cuts
    take its units in rows of d.

    Args:
        units: int, features that come out.
        factors: `((a, b), (c, d))`, or None: the divisors nearest to the square roots.
        rank: int, how many products are added up.
        activation: as of `keras.layers.Dense`, like `use_bias`, the initializers, regularizers and
            constraints; those of the kernel are of both factors.
        use_bias: bool, whether a bias is added.
        **kwargs: see `keras.layers.Dense`.

    Input shape:
        `(batch, ..., features)`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: when an argument is out of range, or the factors do not make the input.

    Example:

    >>> layer = keras_snare.layers.KroneckerDense(512, ((28, 28), (16, 32)), rank=4)
    >>> layer(np.ones((1, 784))).shape, layer.count_params()
    (TensorShape([1, 512]), 5888)

    Reference:
        Zhou et al., "Exploiting Local Structures with the Kronecker Layer in Convolutional
        Networks", 2015.
    """

    def __init__(
        self,
        units: int,
        factors: Any = None,
        rank: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, *args, **kwargs)
        check_count("rank", rank)
        self.rank = int(rank)
        self.factors = None if factors is None else _pairs(factors)
        if self.factors is not None and prod(self.factors[1]) != units:
            raise ValueError(
                f"`factors` make units={units} by their second pair. Received: "
                f"{self.factors[1]}, which make {prod(self.factors[1])}"
            )

    def build_kernel(self, features: int) -> None:
        (a, b), (c, d) = self.factors or (_halves(features), _halves(self.units))
        if a * b != features:
            raise ValueError(
                f"Layer {self.name!r} has factors {(a, b)}, which make {a * b} features. Received: "
                f"inputs with {features}. Give two numbers whose product that is."
            )
        self.factor_shape = a, b, c, d
        self.first = self._add_kernel("first", (a, self.rank * c))
        self.second = self._add_kernel("second", (b, self.rank * d))

    def times_kernel(self, inputs: Any) -> Any:
        a, b, c, d = self.factor_shape
        before = ops.shape(inputs)[:-1]
        tensor = ops.matmul(ops.reshape(inputs, (-1, b)), self.second)
        tensor = ops.reshape(tensor, (-1, a, self.rank, d))
        first = ops.reshape(self.first, (a, self.rank, c))
        return ops.reshape(ops.einsum("narw,arv->nvw", tensor, first), (*before, c * d))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factors": self.factors, "rank": self.rank}


def _halves(number: int) -> tuple[int, int]:
    """Two divisors, as near to each other as there are, the smaller one first."""
    first = next(one for one in range(isqrt(number), 0, -1) if number % one == 0)
    return first, number // first


def _pairs(factors: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    is_pair = isinstance(factors, (tuple, list)) and len(factors) == 2
    pairs = factors if is_pair else ()
    sizes = [pair for pair in pairs if isinstance(pair, (tuple, list)) and len(pair) == 2]
    if len(sizes) != 2 or not all(is_whole(one) and one >= 1 for pair in sizes for one in pair):
        raise ValueError(
            "`factors` is ((a, b), (c, d)) or None, in integers of 1 or more. Received: factors="
            f"{factors!r}"
        )
    (a, b), (c, d) = (map(int, pair) for pair in sizes)
    return (a, b), (c, d)
