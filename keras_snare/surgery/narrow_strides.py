"""Warns of a cut after which TensorFlow's own convolution may write past its memory.

On x86 processors oneDNN computes the gradient of a strided convolution of width 1 in blocks of 16
input channels (AVX-512) or 8 (AVX2). Where the layer has fewer, it writes past the end of a buffer:
training crashes, hangs or goes wrong, of a model that was cut and of one that was built so. See
https://github.com/uxlfoundation/oneDNN/issues/6035.
"""

import os
import platform
import warnings
from collections.abc import Iterable

import keras

BLOCK = 16
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def narrow_strides(layers: Iterable[keras.layers.Layer]) -> list[str]:
    """Returns the names of layers whose gradient oneDNN may compute past the end of its memory."""
    return [
        layer.name
        for layer in layers
        if isinstance(layer, _CONVOLUTIONS)
        and layer.trainable
        and layer.groups == 1
        and max(layer.kernel_size) == 1
        and max(layer.strides) > 1
        and layer.kernel.shape[-2] < BLOCK
    ]


def warn_of_narrow_strides(before: list[str], layers: Iterable[keras.layers.Layer]) -> None:
    """Warns of the layers that a cut has made so.

    Args:
        before: what `narrow_strides` returned before the cut.
        layers: the model's layers after it.
    """
    found = sorted(set(narrow_strides(layers)) - set(before))
    if found and _uses_onednn():
        warnings.warn(
            f"Layer {', '.join(found)} reads fewer than {BLOCK} channels with a kernel of width 1 "
            "and strides, for which TensorFlow's oneDNN may write past its memory in training and "
            "crash. Set the environment variable TF_ENABLE_ONEDNN_OPTS=0 before TensorFlow is "
            "imported, compile with jit_compile=True, keep 16 units with `round_to=16`, or leave "
            "the layer that makes the channels out.",
            RuntimeWarning,
            stacklevel=2,
        )


def _uses_onednn() -> bool:
    """Whether convolutions run on an x86 processor, and with oneDNN, as TensorFlow's default is."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return (
        platform.machine().lower() in ("x86_64", "amd64")
        and os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() not in ("0", "false")
        and not tf.config.list_physical_devices("GPU")
    )
