"""A layer of tf_keras for functions of Keras that no layer of tf_keras computes.

Imports tf_keras, so that only what has loaded it imports this.
"""

import operator

import keras
import tf_keras

from keras_snare.quantize import stored_call


@tf_keras.utils.register_keras_serializable("keras_snare")
class KerasFunction(tf_keras.layers.Layer):
    """Calls a function of `keras.ops` or `keras.activations` on tensors of TensorFlow.

    Where Keras runs on TensorFlow, this computes exactly what the function does in a Keras model.

    Args:
        function: str, such as `"ops.clip"` or `"activations.hard_silu"`; `"ops.get_item"` indexes.
        arguments: str, its arguments, as `stored_call.stored` writes them.
    """

    def __init__(self, function, arguments, **kwargs):
        # Functions see their tensors as they are, whatever their type.
        super().__init__(autocast=False, **kwargs)
        self.function = function
        self.arguments = arguments

    def call(self, inputs):
        tensors = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        args, kwargs = stored_call.filled(self.arguments, tensors)
        return _function(self.function)(*args, **kwargs)

    def get_config(self):
        own = {"function": self.function, "arguments": self.arguments}
        return {**super().get_config(), **own}


def _function(name: str):
    if name == "ops.get_item":
        return operator.getitem
    module, function = name.split(".")
    return getattr(getattr(keras, module), function)
