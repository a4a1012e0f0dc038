"""Representative data: a few batches of a model's inputs, whatever form they came in."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np

from keras_snare.quantize.ordering import inputs_in_order

BATCHES = 8
_BATCH = 32


def representative_batches(model, data: Any) -> list[list[np.ndarray]]:
    """Returns at most 8 batches of representative data, each as a list of the model's inputs.

    Args:
        model: the model in Keras 3.
        data: an array, or a list or dictionary of arrays for several inputs; or a tf.data.Dataset,
            a keras.utils.PyDataset, a generator or a list of batches, of inputs or of tuples as
            `fit` takes them. No more is read than is needed.

    Raises:
        ValueError: when there are none, or when they do not suit the model.
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


def random_batch(model) -> list[np.ndarray]:
    """Returns numbers of the shape of the model's inputs, to try with whether something works."""
    random = np.random.default_rng(0)
    shapes = [[size or 8 for size in one.shape] for one in model.inputs]
    return [
        random.integers(0, 2, shape).astype(one.dtype)
        if one.dtype.startswith(("int", "uint", "bool"))
        else random.random(shape, "float32").astype(one.dtype)
        for shape, one in zip(shapes, model.inputs, strict=True)
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
    return [np.asarray(one, dtype=ref.dtype) for one, ref in zip(flat, model.inputs, strict=True)]


def _suits(found: tuple, expected: tuple) -> bool:
    return len(found) == len(expected) and all(
        size in (None, own) for own, size in zip(found[1:], expected[1:], strict=True)
    )
