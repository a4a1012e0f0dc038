"""Runs a model's graph on random inputs, with some of its weights replaced."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import PRODUCER, THROUGH, ChannelGroups, Trace

layers = keras.layers
# Weights that are no zero add something to sums; zeros add exactly nothing.
_TOLERANCE = 1e-6
# Tried for axes of unknown length.
_LENGTHS = (4, 16, 64, 256)


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
        handle: as `Trace.run` takes it; where axes have no length, several may be tried.

    Raises:
        UnsupportedModelError: when the model computes nothing for them.
    """
    shapes = [groups.trace.shape(key)[1:] for key in groups.trace.inputs]
    lengths = _LENGTHS if any(None in shape for shape in shapes) else _LENGTHS[:1]
    mapping = [(one, keras.ops.convert_to_tensor(value)) for one, value in replaced]
    reason: Exception | None = None
    for length in lengths:
        inputs = _drawn(groups.trace, length, seed)
        try:
            with keras.StatelessScope(state_mapping=mapping):
                outputs = groups.trace.run(inputs, handle)
            return [keras.ops.convert_to_numpy(one) for one in outputs]
        except Exception as error:  # What layers say to a length that does not do, or to numbers.
            reason = error
    raise UnsupportedModelError(
        f"Expected a model that computes something for random inputs. Received: shapes {shapes}, "
        f"for which it raises {type(reason).__name__}: {reason}"
    ) from reason


def _drawn(trace: Trace, length: int, seed: int) -> list[Any]:
    """Two examples of each input, of its own type, with a length for axes that have none."""
    generator = np.random.default_rng(seed)
    tokens = {
        call.inputs[0]: call.operation.input_dim
        for call in trace.calls
        if isinstance(call.operation, layers.Embedding)
    }
    found = []
    for key in trace.inputs:
        dtype = trace.tensors[key][0].dtype
        first, *rest = trace.shape(key)
        shape = (first or 2, *(size or length for size in rest))
        whole = key in tokens or dtype.startswith(("int", "uint", "bool"))
        drawn = generator.integers(0, tokens.get(key, 2), shape) if whole else None
        drawn = generator.random(shape) if drawn is None else drawn
        found.append(keras.ops.convert_to_tensor(drawn, dtype))
    return found


def is_heard(groups: ChannelGroups, channels: np.ndarray) -> bool:
    """Tells whether the outputs depend on channels, such as by a normalisation's statistics.

    What makes the channels, and what scales them on the way, is replaced by random numbers of both
    signs, so that one of them gets through an activation. Where that cannot be seen, since the
    model computes nothing for random inputs, they count as heard.

    Args:
        groups: of the model.
        channels: roots of the channels.
    """
    try:
        found = [probed(groups, _replaced(groups, channels, sign), seed=0) for sign in (1, -1)]
    except UnsupportedModelError:
        return True
    # What is not a number may depend on anything.
    return not all(
        np.abs(one - other).max(initial=0) <= _TOLERANCE * np.abs(one).max(initial=0)
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
