"""What dense layers have in common whose kernel is not stored as it is."""

from abc import abstractmethod
from typing import Any

import keras
from keras import ops

from keras_snare.arguments import check_count


class DenseForm(keras.layers.Layer):
    """A dense layer that computes with fewer numbers than its kernel would have.

    Args:
        units: int, features that come out.
        activation: as of `keras.layers.Dense`, like all others here. What concerns the kernel
            concerns each of the weights that make it.
        use_bias: bool, whether a bias is added.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., features)`.

    Output shape:
        `(batch, ..., units)`.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "lecun_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activity_regularizer=keras.regularizers.get(activity_regularizer), **kwargs
        )
        check_count("units", units)
        self.units = int(units)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.bias: Any = None
        self.supports_masking = True

    @abstractmethod
    def build_kernel(self, features: int) -> None:
        """Adds the weights that make the kernel of an input with so many features.

        Raises:
            ValueError: when the input does not suit.
        """

    @abstractmethod
    def times_kernel(self, inputs: Any) -> Any:
        """Returns the inputs times the kernel, by way of what makes it."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"Layer {self.name!r} needs inputs of shape (batch, ..., features) with a known "
                f"number of features. Received: input_shape={tuple(input_shape)}"
            )
        self.build_kernel(input_shape[-1])
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: input_shape[-1]})
        self.built = True

    def call(self, inputs: Any) -> Any:
        result = self.times_kernel(inputs)
        if self.bias is not None:
            result = ops.add(result, self.bias)
        return result if self.activation is None else self.activation(result)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def dense_kernel(self) -> Any:
        """Returns the kernel of the `Dense` layer that computes the same, (features, units)."""
        features = self.input_spec.axes[-1]
        return self.times_kernel(ops.eye(features, dtype=self.compute_dtype))

    def quantize(self, mode: Any = None, **kwargs: Any) -> None:
        """Refused: what is rounded here is no kernel."""
        raise NotImplementedError(
            f"Layer {self.name!r} ({type(self).__name__}) has no quantized form of Keras's own. "
            f"Received: mode={mode!r}. Use keras_snare.to_litert or QuantizeAwareCallback("
            "engine='keras'), or leave it out."
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }

    def _add_kernel(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
