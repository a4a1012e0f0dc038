"""Rounding to 8 bits that stays differentiable, in forms that the converter finds again."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

_STEPS = 127
# A channel of a kernel gets steps no finer than this part of those of the widest one: the sums of a
# channel that is nearly nothing would not fit in 32 bits.
_FINEST = 1e-4
_rounds: ContextVar[bool] = ContextVar("rounds", default=True)


@contextmanager
def without_rounding() -> Iterator[None]:
    """Leaves all numbers as they are."""
    token = _rounds.set(False)
    try:
        yield
    finally:
        _rounds.reset(token)


def rounded(x: Any, low: Any, high: Any) -> Any:
    """Rounds a tensor to 256 steps from `low` to `high`; slopes vanish outside of these."""
    if not _rounds.get():
        return x
    return keras.quantizers.fake_quant_with_min_max_vars(x, low, high)


def rounded_kernel(kernel: Any, limits: Any, training: bool) -> Any:
    """Rounds a kernel to 127 steps on both sides of zero; slopes pass straight through.

    Args:
        kernel: the tensor.
        limits: what `limits_of` returned.
        training: bool, whether slopes are asked for.
    """
    if not _rounds.get():
        return kernel
    if not training and not limits.shape:
        # Otherwise the converter takes other steps: for Dense, some for each unit.
        return keras.quantizers.fake_quant_with_min_max_vars(
            kernel, -limits, limits, narrow_range=True
        )
    # Constants in steps by channel are found again by the converter, also where it moves axes.
    step = limits / _STEPS
    result = ops.clip(ops.round(kernel / step), -_STEPS, _STEPS) * step
    return kernel + ops.stop_gradient(result - kernel) if training else result


def limits_of(kernel: Any, axes: tuple[int, ...]) -> Any:
    """Returns the largest size of a weight, for each channel, in a shape that fits to the kernel.

    Args:
        kernel: the tensor.
        axes: those of the channels, counted from the end; none for one limit in all.
    """
    others = _others(kernel.shape, axes)
    found = ops.max(ops.abs(kernel), axis=others, keepdims=bool(axes))
    widest = ops.max(found)
    # Any limit suits a kernel of zeros.
    return ops.where(widest > 0, ops.maximum(found, _FINEST * widest), ops.ones_like(found))


def limits_shape(shape: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what `limits_of` returns for a kernel of a shape."""
    others = _others(shape, axes)
    return tuple(1 if at in others else size for at, size in enumerate(shape)) if axes else ()


def _others(shape: Any, axes: tuple[int, ...]) -> list[int]:
    ndim = len(shape)
    return [axis for axis in range(ndim) if axis - ndim not in axes]
