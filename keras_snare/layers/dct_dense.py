"""A dense layer on low frequencies of its input."""

from typing import Any

import keras
from keras import ops

from keras_snare.arguments import is_whole
from keras_snare.layers.cosines import checked_coefficients, checked_grid
from keras_snare.layers.dense_form import DenseForm
from keras_snare.layers.support import CosineSupport, stated


@keras.saving.register_keras_serializable(package="keras_snare")
class DCTDense(CosineSupport, DenseForm):
    """A dense layer whose kernel is made of a few cosines along its input.

    The kernel is B · C: B holds the chosen vectors of a discrete cosine basis (features,
    coefficients), which is fixed and no weight, and C is trained (coefficients, units). Where
    inputs lie on a grid, such as the pixels of an image, low frequencies say nearly all of it, and
    a tenth of the weights costs no accuracy. Between hidden layers, whose units have no order, a
    narrower layer is as good.

    The result is computed as inputs times B times C. That takes less time than a dense layer where
    coefficients · (features + units) is less than features · units, and more where it is not: with
    few units, or many coefficients. A .keras file holds C alone; a file that a model is exported
    to, such as .tflite, holds the features · coefficients numbers of B as well, and is smaller
    under the same condition.

    Args:
        units: int, features that come out.
        activation, use_bias: as of `keras.layers.Dense`, like the initializers, regularizers and
            constraints; those of the kernel are of C.
        coefficients: int, how many frequencies, the lowest; float, the same as a share of the
            features; or integers, the flat numbers of the frequencies on the grid.
        input_grid: `(height, width)` or `(height, width, channels)` that the features lie on, row
            by row as `Flatten` puts them; None for a line.
        **kwargs: see `keras.layers.Dense`.

    Input shape:
        `(batch, ..., features)`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: when an argument is out of range, or the grid is not that of the input.

    Example:

    >>> layer = keras_snare.layers.DCTDense(256, "relu", coefficients=78, input_grid=(28, 28))
    >>> layer(np.ones((1, 784))).shape, layer.count_params()  # 78 * (784 + 256) < 784 * 256
    (TensorShape([1, 256]), 20224)

    Reference:
        Chen et al., "Compressing Convolutional Neural Networks in the Frequency Domain", KDD 2016,
        for weights in a cosine basis.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        *args: Any,
        coefficients: Any = 0.25,
        input_grid: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, *args, **kwargs)
        self.coefficients = checked_coefficients(coefficients)
        self.input_grid = None if input_grid is None else _grid(input_grid)

    def build_kernel(self, features: int) -> None:
        self._begin_support(checked_grid(self.input_grid, features, self.name))
        self.kernel = self._add_kernel("kernel", (len(self.frequencies), self.units))

    def times_kernel(self, inputs: Any) -> Any:
        seen = ops.matmul(inputs, ops.convert_to_tensor(self.fixed_basis, dtype=self.compute_dtype))
        return ops.matmul(seen, self.kernel)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "coefficients": stated(self.coefficients),
            "input_grid": self.input_grid,
        }


def _grid(given: Any) -> tuple[int, ...]:
    sizes = tuple(given) if isinstance(given, (list, tuple)) else ()
    if not 2 <= len(sizes) <= 3 or not all(is_whole(size) and size > 0 for size in sizes):
        raise ValueError(
            "`input_grid` is (height, width), (height, width, channels) or None. Received: "
            f"input_grid={given!r}"
        )
    return tuple(map(int, sizes))
