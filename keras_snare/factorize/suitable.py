"""Which layers can be factorised, and in which ways."""

from math import prod
from typing import Any

import keras
import numpy as np

from keras_snare.factorize.factors import Factors, Moments
from keras_snare.factorize.spatial import Spatial
from keras_snare.factorize.svd import SVD
from keras_snare.factorize.tucker import Tucker
from keras_snare.graph.rules.dense import has_adapter

_KINDS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
METHODS = ("svd", "tucker", "spatial", "auto")


def has_matrix(operation: Any) -> bool:
    """Tells whether an operation is a layer with a weight that might be factorised."""
    weights = operation.weights if isinstance(operation, keras.Layer) else ()
    return any(len(weight.shape) > 1 for weight in weights)


def unsuited(layer: keras.layers.Layer) -> str:
    """Returns why a layer cannot be factorised, empty where it can."""
    if type(layer) not in _KINDS:
        return f"there is no way to factorise a {type(layer).__name__}"
    if has_adapter(layer):
        return "it is quantized or carries LoRA matrices"
    if getattr(layer, "groups", 1) != 1:
        return "its kernel is one of several groups"
    if layer.kernel_constraint is not None:
        return "factors cannot keep the constraint of its kernel"
    if min(np.prod(layer.kernel.shape[:-1]), layer.kernel.shape[-1]) < 2:
        return "its kernel has rank 1 already"
    return ""


def ways_of(layer: keras.layers.Layer, method: str, moments: Moments | None) -> list[Factors]:
    """Returns the ways to factorise a layer that a method means.

    What a method does not suit is factorised by SVD: dense layers, convolutions of one tap, and for
    "spatial" all that do not have two axes of taps.

    Args:
        layer: a layer that suits.
        method: one of `METHODS`.
        moments: of its data.

    Raises:
        ValueError: when the kernel has weights that are not finite.
    """
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype("float64")
    if not np.isfinite(kernel).all():
        raise ValueError(
            f"Expected finite weights. Received: layer {layer.name!r}, whose kernel has NaN or "
            "infinite ones. Go back to an epoch before them."
        )
    taps = getattr(layer, "kernel_size", ())
    kinds: list[type[Factors]] = [SVD]
    if prod(taps) > 1:
        kinds.append(Tucker)
    if len(taps) == 2 and min(taps) > 1:
        kinds.append(Spatial)
    meant = [kind for kind in kinds if method in ("auto", kind.method)] or [SVD]
    return [kind(layer, kernel, moments) for kind in meant]
