"""Representative data: a few batches of a model's inputs, whatever form they came in."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np

from keras_snare.graph import Trace, trace
from keras_snare.quantize.ordering import inputs_in_order

BATCHES = 8
_BATCH = 32
# Tried for axes of unknown length.
_LENGTHS = (8, 16, 32, 64, 128, 256)


def representative_batches(model, data: Any) -> list[list[np.ndarray]]:
    """Returns at most 8 batches of representative data, each as a list of the model's inputs.

    Args:
        model: the model in Keras 3.
        data: an array, or a list or dictionary of arrays for several inputs; or a tf.data.Dataset,
            a keras.utils.PyDataset, a generator or a list of batches, of inputs or of tuples as
            `fit` takes them. No more is read than is needed.

    Raises:
        ValueError: when there are none, when they do not suit the model, are of unequal lengths, or
            not finite.
    """
    batches = [_inputs(model, batch) for batch in islice(_split(model, data), BATCHES)]
    if not any(len(batch[0]) for batch in batches):
        raise ValueError(
            "Expected representative_data with at least one example. Received: none. Give some "
            "hundred examples of what the network will see; a generator serves once."
        )
    return batches


def examples(batches: list[list[np.ndarray]], size: int = 1) -> Iterator[list[np.ndarray]]:
    """Returns the examples of batches in batches of another size; 256 examples are enough."""
    found = (
        [one[at : at + size] for one in batch]
        for batch in batches
        for at in range(0, len(batch[0]) - size + 1, size)
    )
    return islice(found, max(BATCHES * _BATCH // size, 1))


def check_enough(batches: list[list[np.ndarray]], size: int) -> None:
    """Checks that data fill one batch of a model whose inputs say how many examples they take.

    Args:
        batches: the data.
        size: how many examples the model takes at a time.

    Raises:
        ValueError: when they do not.
    """
    if not any(examples(batches, size)):
        raise ValueError(
            f"Expected representative_data in batches of at least {size} examples, as the model's "
            f"inputs say. Received: {', '.join(str(len(one[0])) for one in batches)}. Give larger "
            "batches, or build the model without a batch size."
        )


def random_batch(model) -> list[np.ndarray]:
    """Returns numbers of the shape of the model's inputs, to try with whether something works.

    Raises:
        ValueError: when inputs have axes of unknown length, and the model computes for none of some
            lengths.
    """
    graph = trace(model)
    inputs = [graph.tensors[key][0] for key in graph.inputs]
    if all(size for one in inputs for size in one.shape[1:]):
        return _numbers(inputs, 8)
    for length in _LENGTHS:
        batch = _numbers(inputs, length)
        if _computes(graph, batch):
            return batch
    raise ValueError(
        "Expected inputs of known shapes, or representative_data that show them. Received: "
        f"{[tuple(one.shape) for one in inputs]}, for which lengths of {_LENGTHS[0]} to "
        f"{_LENGTHS[-1]} do not do. Give representative_data."
    )


def _computes(graph: Trace, batch: list[np.ndarray]) -> bool:
    """Tells whether a graph has numbers everywhere for a batch.

    Where an axis shrinks to nothing there are none, of which TensorFlow says nothing, and LiteRT's
    interpreter may die.
    """
    import tensorflow as tf

    values: dict[int, Any] = {
        key: keras.KerasTensor(one.shape, str(one.dtype))
        for key, one in zip(graph.inputs, batch, strict=True)
    }
    try:
        for call in graph.calls:
            args, kwargs = call.filled(values)
            made = keras.tree.flatten(call.operation.compute_output_spec(*args, **kwargs))
            if any(0 in one.shape for one in made):
                return False
            values.update(zip(call.outputs, made, strict=True))
        inputs = [keras.ops.convert_to_tensor(one) for one in batch]
        found = graph.run(inputs, lambda call, key, value: value)
    except (ValueError, RuntimeError, tf.errors.OpError):
        return False  # The length does not do; another may.
    results = [keras.ops.convert_to_numpy(one) for one in found]
    return all(np.isfinite(one.astype("float64")).all() for one in results)


def _numbers(inputs: list[Any], length: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    shapes = [[one.shape[0] or 8, *(size or length for size in one.shape[1:])] for one in inputs]
    return [
        random.integers(0, 2, shape).astype(one.dtype)
        if one.dtype.startswith(("int", "uint", "bool"))
        else random.random(shape, "float32").astype(one.dtype)
        for shape, one in zip(shapes, inputs, strict=True)
    ]


def _split(model, data: Any) -> Iterator[Any]:
    if isinstance(data, tuple):
        data = data[0]  # Behind it is what `fit` compares with.
    if isinstance(data, keras.utils.PyDataset):
        return (data[at] for at in range(min(BATCHES, data.num_batches or BATCHES)))
    arrays = keras.tree.flatten(data)
    is_array = all(hasattr(one, "shape") for one in arrays)
    listed = isinstance(data, list) and (
        len(data) != len(model.inputs) or any(isinstance(one, tuple) for one in data)
    )
    if not arrays or not is_array or listed:
        if not hasattr(data, "__iter__"):
            raise TypeError(
                "Expected representative_data of arrays, or what gives batches of them. Received: "
                f"{type(data).__name__}."
            )
        return iter(data)
    _check_lengths([tuple(one.shape) for one in arrays])
    size = max(model.inputs[0].shape[0] or 0, _BATCH)
    starts = range(0, min(len(arrays[0]), BATCHES * size), size)
    return (_part(data, slice(at, at + size)) for at in starts)


def _part(data: Any, examples: slice) -> Any:
    return keras.tree.map_structure(lambda one: np.asarray(one)[examples], data)


def _inputs(model, batch: Any) -> list[np.ndarray]:
    flat = inputs_in_order(model, batch[0] if isinstance(batch, tuple) else batch)
    expected = [tuple(one.shape) for one in model.inputs]
    found = [tuple(np.shape(one)) for one in flat]
    if len(found) != len(expected) or not all(map(_suits, found, expected)):
        raise ValueError(
            f"Expected representative_data in batches of the model's inputs, {expected}. Received: "
            f"{found}. Give arrays with the examples along the first axis, in the order of "
            "model.inputs."
        )
    _check_lengths(found)
    for at, one in enumerate(flat):
        _check_finite(np.asarray(one), at)
    return [np.asarray(one, dtype=ref.dtype) for one, ref in zip(flat, model.inputs, strict=True)]


def _check_lengths(shapes: list[tuple]) -> None:
    if len({shape[:1] for shape in shapes}) > 1:
        raise ValueError(
            "Expected representative_data with as many examples of each input. Received: arrays of "
            f"shapes {', '.join(map(str, shapes))}. Give the same examples of all of them."
        )


def _check_finite(values: np.ndarray, at: int) -> None:
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise ValueError(
            "Expected representative_data of finite numbers, from which ranges are set. Received: "
            f"NaN or infinity for model.inputs[{at}]. Leave these examples out, or fill the gaps "
            "as for training."
        )


def _suits(found: tuple, expected: tuple) -> bool:
    return len(found) == len(expected) and all(
        size in (None, own) for own, size in zip(found[1:], expected[1:], strict=True)
    )
