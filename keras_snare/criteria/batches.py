"""Users' data, checked and cut into batches that a model reads."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from keras_snare.graph import Trace


def check_data(data: Any, argument: str, labelled: bool) -> None:
    """Checks data before anything is done with them.

    Raises:
        ValueError: when they can be read only once, are of another form, or lack the labels that
            are needed.
    """
    if hasattr(data, "__next__"):
        raise ValueError(
            f"`{argument}` is read several times. Received an iterator "
            f"({type(data).__name__}), which can be read once. Give arrays `(x, y)`, a "
            "tf.data.Dataset or a keras.utils.PyDataset."
        )
    # Looping over these would give rows or keys, not batches.
    no_batches = isinstance(data, (str, bytes, Mapping)) or hasattr(data, "shape")
    if no_batches or not isinstance(data, Iterable):
        came, shape = f"{type(data).__name__}.", getattr(data, "shape", None)
        if shape is not None:
            parts = "(x, y)" if labelled else "(x,)"
            came = f"an array of shape {tuple(shape)}. Give `{argument}={parts}`."
        raise ValueError(
            f"`{argument}` is `(x, y)` arrays, a tf.data.Dataset or a keras.utils.PyDataset. "
            f"Received: {came}"
        )
    if isinstance(data, (tuple, list)):
        _check_arrays(data, argument, labelled)


def _check_arrays(data: tuple | list, argument: str, labelled: bool) -> None:
    if labelled and (len(data) < 2 or data[1] is None):
        raise ValueError(
            f"The criterion needs labelled data: `{argument}=(x, y)`. Received: {len(data)} part."
        )
    shapes = [_shape(one) for one in keras.tree.flatten(list(data[:2])) if one is not None]
    sizes = {shape[0] if shape else None for shape in shapes}
    if len(data) not in (1, 2, 3) or data[0] is None or len(sizes) != 1 or None in sizes:
        raise ValueError(
            f"`{argument}` is a tuple of arrays, `(x, y)`, which hold one entry per example. "
            f"Received: {len(data)} parts, with arrays of the shapes {shapes}."
        )


def _shape(array: Any) -> tuple:
    """The shape of an array; none has a number or a text."""
    return tuple(getattr(array, "shape", ()))


def batches(data: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    """Yields `(x, y)` batches; `y` is None where the data have none. Sample weights are left out.

    Args:
        data: what `check_data` lets pass.
        batch_size: int, for arrays.
    """
    for x, y, _ in weighted_batches(data, batch_size):
        yield x, y


def weighted_batches(data: Any, batch_size: int) -> Iterator[tuple[Any, Any, Any]]:
    """Yields `(x, y, sample_weight)` batches, with None for what the data have not; see `batches`.

    Args:
        data: what `check_data` lets pass.
        batch_size: int, for arrays.
    """
    if isinstance(data, (tuple, list)):
        size = len(keras.tree.flatten(data[0])[0])
        for start in range(0, size, batch_size):
            part = slice(start, start + batch_size)
            yield _three([None if one is None else _part(one, part) for one in data])
        return
    steps = range(len(data)) if isinstance(data, keras.utils.PyDataset) else data
    for step in steps:
        batch = data[step] if isinstance(data, keras.utils.PyDataset) else step
        yield _three(batch if isinstance(batch, (tuple, list)) else [batch])


def _three(parts: Any) -> tuple[Any, Any, Any]:
    x, y, weights = [*parts, None, None][:3]
    return x, y, weights


def _part(arrays: Any, part: slice) -> Any:
    return keras.tree.map_structure(lambda array: array[part], arrays)


def flat_inputs(graph: Trace, x: Any) -> list[Any]:
    """Returns one tensor per model input.

    Raises:
        ValueError: when the model does not take such inputs.
    """
    symbols = [graph.tensors[key][0] for key in graph.inputs]
    if isinstance(x, dict) and all(tensor.name in x for tensor in symbols):
        values = [x[tensor.name] for tensor in symbols]
    else:
        values = keras.tree.flatten(x)
    taken, found = ([_shape(one) for one in some] for some in (symbols, values))
    try:
        if not _fit(taken, found, graph.recorded):
            raise ValueError("other shapes")
        return [
            keras.ops.convert_to_tensor(value, dtype=tensor.dtype)
            for value, tensor in zip(values, symbols, strict=True)
        ]
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The data are batches that the model takes, of the shapes {taken}. "
            f"Received: {found} ({error}). Give such data as `fit` takes."
        ) from error


def _fit(taken: list[tuple], found: list[tuple], stated: bool) -> bool:
    """Compares shapes; sizes count where the model states them, not where one was tried out."""
    if [len(shape) for shape in taken] != [len(shape) for shape in found]:
        return False
    pairs = [
        pair
        for one, other in zip(taken, found, strict=True)
        for pair in zip(one[1:], other[1:], strict=True)
    ]
    return not stated or all(None in pair or pair[0] == pair[1] for pair in pairs)


def check_first_batch(graph: Trace, data: Any, labelled: bool) -> None:
    """Checks whether the model takes the data, by the first example or batch of them.

    Raises:
        ValueError: when it does not, or when there is none.
    """
    first = next(batches(data, 1), None)
    if first is None:
        raise no_example()
    flat_inputs(graph, first[0])
    check_labels(first[1], labelled)


def no_example() -> ValueError:
    """Says that data are empty."""
    return ValueError("The data are one example or more. Received: none. Give at least one.")


def check_labels(y: Any, labelled: bool) -> None:
    """Checks the labels of a batch.

    Raises:
        ValueError: when there are none and the criterion needs them.
    """
    if labelled and y is None:
        raise ValueError(
            "The criterion needs labelled data. Received: a batch without labels. Give batches "
            "`(x, y)`, or choose a criterion that needs no labels, such as 'activation'."
        )
