"""Runs a model's graph on random inputs, with some of its weights replaced."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_snare.graph import PRODUCER, THROUGH, ChannelGroups

layers = keras.layers
# Weights that are no zero add something to sums; zeros add exactly nothing.
_TOLERANCE = 1e-6


def probed(
    groups: ChannelGroups,
    replaced: Iterable[tuple[Any, np.ndarray]],
    seed: int,
    handle: Callable[..., Any] = lambda call, key, value: value,
) -> list[np.ndarray]:
    """Returns the outputs of a model for two random examples.

    Args:
        groups: of the model.
        replaced: variables, and what they are meanwhile.
        seed: of the examples.
        handle: as `Trace.run` takes it.
    """
    trace = groups.trace
    generator = np.random.default_rng(seed)
    shapes = [(2, *(size or 4 for size in trace.shape(key)[1:])) for key in trace.inputs]
    tokens = {
        call.inputs[0]: call.operation.input_dim
        for call in trace.calls
        if isinstance(call.operation, layers.Embedding)
    }
    drawn = [
        generator.integers(0, tokens[key], shape) if key in tokens else generator.random(shape)
        for key, shape in zip(trace.inputs, shapes, strict=True)
    ]
    inputs = [keras.ops.convert_to_tensor(one, "float32") for one in drawn]
    mapping = [(one, keras.ops.convert_to_tensor(value)) for one, value in replaced]
    with keras.StatelessScope(state_mapping=mapping):
        outputs = trace.run(inputs, handle)
    return [keras.ops.convert_to_numpy(one) for one in outputs]


def is_heard(groups: ChannelGroups, channels: np.ndarray) -> bool:
    """Tells whether the outputs depend on channels, such as by a normalisation's statistics.

    What makes the channels, and what scales them on the way, is replaced by random numbers of both
    signs, so that one of them gets through an activation.

    Args:
        groups: of the model.
        channels: roots of the channels.
    """
    found = [probed(groups, _replaced(groups, channels, sign), seed=0) for sign in (1, -1)]
    return any(
        np.abs(one - other).max(initial=0) > _TOLERANCE * np.abs(one).max(initial=0)
        for one, other in zip(*found, strict=True)
    )


def _replaced(groups: ChannelGroups, channels: np.ndarray, sign: int) -> list[Any]:
    random = np.random.default_rng(1)
    found: dict[int, tuple[Any, np.ndarray]] = {}
    for one in groups.bindings:
        gone = ~groups.kept(one.labels, channels)
        if one.role not in (PRODUCER, THROUGH) or not gone.any():
            continue
        held = np.array(keras.ops.convert_to_numpy(one.variable.value))
        _, value = found.setdefault(id(one.variable), (one.variable, held))
        part = np.moveaxis(value, one.axis, 0)
        drawn = random.normal(size=part[gone].shape)
        # What accompanies channels may be a variance.
        part[gone] = sign * drawn if one.role == PRODUCER else 0.5 + np.abs(drawn)
    return list(found.values())
