"""A convolution whose filters are made of low frequencies."""

from math import prod
from typing import Any

import keras
from keras import ops

from keras_snare.layers.cosines import checked_coefficients
from keras_snare.layers.support import CosineSupport, stated


@keras.saving.register_keras_serializable(package="keras_snare")
class DCTConv2D(CosineSupport, keras.layers.Conv2D):
    """A two-dimensional convolution whose kernel has fewer frequencies than taps.

    Along height and width each filter is a sum of the lowest vectors of a discrete cosine basis;
    their coefficients are trained, (coefficients, channels, filters). That saves weights, not time:
    the convolution is done with the kernel that they make. It pays for kernels of 5 by 5 and more.

    Args:
        filters: int, channels that come out.
        kernel_size: int or two, height and width of the filters.
        *args: as of `keras.layers.Conv2D`, in its order.
        coefficients: int, how many frequencies, the lowest; float, the same as a share of the taps;
            or integers, the flat numbers of the frequencies among the taps.
        **kwargs: as of `keras.layers.Conv2D`. Initializer, regularizer and constraint of the kernel
            are those of the coefficients.

    Input shape, output shape:
        As of `keras.layers.Conv2D`.

    Raises:
        ValueError: when an argument is out of range.

    Example:

    >>> layer = keras_snare.layers.DCTConv2D(8, 5, padding="same", coefficients=10)
    >>> layer(np.ones((1, 28, 28, 1))).shape, layer.count_params()
    (TensorShape([1, 28, 28, 8]), 88)

    Reference:
        Chen et al., "Compressing Convolutional Neural Networks in the Frequency Domain", KDD 2016
        (FreshNets), without its hashing.
    """

    def __init__(
        self, filters: int, kernel_size: Any, *args: Any, coefficients: Any = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(filters, kernel_size, *args, **kwargs)
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank)
        self.coefficients = checked_coefficients(coefficients)
        self._begin_support(self.kernel_size)
        self.coefficient_kernel: Any = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None or channels % self.groups:
            raise ValueError(
                f"Layer {self.name!r} needs a known number of channels that its groups divide. "
                f"Received: input_shape={tuple(input_shape)} with groups={self.groups}"
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=4, axes={axis: channels})
        self.coefficient_kernel = self.add_weight(
            name="kernel",
            shape=(len(self.frequencies), channels // self.groups, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True
        self.compute_output_shape(input_shape)

    @property
    def kernel(self) -> Any:
        """The trained coefficients, (coefficients, channels, filters)."""
        return self.coefficient_kernel

    def taps(self) -> Any:
        """Returns the kernel of the `Conv2D` layer that computes the same."""
        return self._taps(ops.convert_to_tensor(self.coefficient_kernel))

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, self._taps(ops.convert_to_tensor(kernel)))

    def quantize(self, mode: Any = None, **kwargs: Any) -> None:
        """Refused: what is rounded here is no kernel."""
        raise NotImplementedError(
            f"Layer {self.name!r} (DCTConv2D) has no quantized form of Keras's own. Received: "
            f"mode={mode!r}. Use keras_snare.to_litert, or leave it out."
        )

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Refused: there is no kernel to adapt."""
        raise NotImplementedError(
            f"Layer {self.name!r} (DCTConv2D) takes no LoRA matrices. Train its coefficients."
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "coefficients": stated(self.coefficients)}

    def _taps(self, coefficients: Any) -> Any:
        shape = ops.shape(coefficients)
        made = ops.matmul(
            ops.convert_to_tensor(self.fixed_basis, dtype=coefficients.dtype),
            ops.reshape(coefficients, (shape[0], prod(shape[1:]))),
        )
        return ops.reshape(made, (*self.kernel_size, *shape[1:]))
