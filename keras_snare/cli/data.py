"""Data that are named on the command line: arrays, stored datasets, images, functions."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_snare.cli.inputs import check_file, function_of

_COLORS = {1: "grayscale", 3: "rgb", 4: "rgba"}
_SNAPSHOT = "dataset_spec.pb"


def read_arrays(given: str, model: keras.Model) -> Any:
    """Returns data for the inputs of a model, without targets.

    Args:
        given: a `.npz` file with arrays of the names of the model's inputs, or one that is called
            `x`; or `FILE.py:NAME`, a function without arguments that returns arrays, a
            `tf.data.Dataset` or batches.
        model: whose inputs are filled.

    Raises:
        ValueError: when it is none of these.
        OSError: when a file is missing.
    """
    if not given.endswith(".npz"):
        return function_of(given, "data in an .npz file or")()
    return _inputs(Path(given), _held(Path(given)), model)


def read_examples(
    given: str, model: keras.Model, *, batch_size: int = 32, labelled: bool = False
) -> Any:
    """Returns examples with their targets, where there are any.

    Args:
        given: what `read_arrays` takes, with targets as `y` or under the names of the outputs; a
            folder that `tf.data.Dataset.save` wrote; or a folder of images, one folder a class.
        model: that they are for.
        batch_size: of images, and of datasets that are not in batches.
        labelled: whether targets are needed.

    Returns:
        `(x, y)` or `(x,)` arrays, a tf.data.Dataset of batches, or what the function returns.

    Raises:
        ValueError: when it is none of these, or of other shapes than the model's.
        OSError: when a file is missing.
    """
    if Path(given).is_dir():
        return _folder(Path(given), model, batch_size, labelled)
    if given.endswith(".npz"):
        return _arrays(Path(given), model, labelled)
    expected = "data in an .npz file, a folder of a stored dataset or of images, or"
    if not given.endswith(".py") and ".py:" not in given:
        check_file(Path(given), "data")
    return function_of(given, expected)()


def split(data: Any, share: float) -> tuple[Any, Any]:
    """Returns data without their last share, and that, as Keras splits them.

    Raises:
        ValueError: when they are no arrays, or nothing is left.
    """
    if not isinstance(data, tuple):
        raise ValueError("--validation-split takes arrays of an .npz file. Give --validation.")
    first = keras.tree.flatten(data)[0]
    at = int(len(first) * (1 - share))
    if not 0 < share < 1 or not 0 < at < len(first):
        raise ValueError(
            f"--validation-split is between 0 and 1, and leaves examples on both sides. Received: "
            f"{share} of {len(first)} examples."
        )
    return (
        keras.tree.map_structure(lambda one: one[:at], data),
        keras.tree.map_structure(lambda one: one[at:], data),
    )


def _held(path: Path) -> dict[str, np.ndarray]:
    check_file(path, "data")
    try:
        # Pickled objects, which can run code, are refused.
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # What is no zip file fails in many ways.
        raise ValueError(f"Expected arrays in {path}. Received: {error}.") from error


def _inputs(path: Path, held: dict[str, np.ndarray], model: keras.Model) -> Any:
    names = [one.name for one in _places(model)]
    if names and set(names) <= set(held):
        return [held[name] for name in names]
    if len(names) <= 1 and "x" in held:
        return held["x"]
    wanted = "'x', or " if len(names) <= 1 else ""
    raise ValueError(
        f"Expected {path} to hold {wanted}the model's inputs {', '.join(map(repr, names))}. "
        f"Received: {', '.join(map(repr, held)) or 'nothing'}."
    )


def _arrays(path: Path, model: keras.Model, labelled: bool) -> tuple[Any, ...]:
    held = _held(path)
    x, names = _inputs(path, held, model), _output_names(model)
    x = x[0] if isinstance(x, list) and len(x) == 1 else x
    y = held.get("y")
    if set(names) <= set(held):
        y = [held[name] for name in names]
        y = y[0] if len(y) == 1 else y
    if labelled and y is None:
        raise ValueError(
            f"Expected targets in {path}, as 'y' or {', '.join(map(repr, names))}. Received: "
            f"{', '.join(map(repr, held))}."
        )
    data = (x,) if y is None else (x, y)
    sizes = {one.shape[0] if one.ndim else None for one in keras.tree.flatten(data)}
    if len(sizes) != 1 or not next(iter(sizes)):
        raise ValueError(
            f"Expected arrays in {path} with an entry for each example. Received: "
            f"{', '.join(f'{name} {one.shape}' for name, one in held.items())}."
        )
    # Models without a graph have no inputs that are known.
    for one, place in zip(keras.tree.flatten(x), _places(model), strict=False):
        _check_shape(str(path), one.shape[1:], place)
    return data


def _places(model: keras.Model) -> list[Any]:
    return list(getattr(model, "inputs", None) or [])


def _output_names(model: keras.Model) -> list[str]:
    return list(getattr(model, "output_names", None) or [model.layers[-1].name])


def _check_shape(where: str, shape: Any, place: Any) -> None:
    expected = tuple(place.shape[1:])
    fits = len(shape) == len(expected) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected examples of shape {expected} for input {place.name!r} in {where}. "
            f"Received: {tuple(shape)}."
        )


def _folder(path: Path, model: keras.Model, batch_size: int, labelled: bool) -> Any:
    if (path / _SNAPSHOT).is_file():
        return _snapshot(path, model, batch_size, labelled)
    if not any(one.is_dir() for one in path.iterdir()):
        raise ValueError(
            f"Expected in {path} a dataset that tf.data.Dataset.save wrote, or a folder of images "
            "for each class. Received: neither."
        )
    return _images(path, model, batch_size)


def _snapshot(path: Path, model: keras.Model, batch_size: int, labelled: bool) -> Any:
    try:
        found = tf.data.Dataset.load(str(path))
    except Exception as error:  # A damaged one may fail in any way.
        raise ValueError(f"TensorFlow does not load the dataset in {path}: {error}") from error
    spec = found.element_spec
    if labelled and not (isinstance(spec, tuple) and len(spec) > 1):
        raise ValueError(f"Expected batches (x, y) in {path}. Received: {spec}.")
    first = keras.tree.flatten(spec[0] if isinstance(spec, tuple) else spec)[0].shape
    for place in _places(model)[:1]:
        if len(first) == len(place.shape) - 1:
            found, first = found.batch(batch_size), [None, *first]
        _check_shape(str(path), tuple(first[1:]), place)
    return found


def _images(path: Path, model: keras.Model, batch_size: int) -> Any:
    places = [tuple(one.shape[1:]) for one in _places(model)]
    shape = places[0] if len(places) == 1 else ()
    if len(shape) != 3 or None in shape or shape[2] not in _COLORS:
        raise ValueError(
            f"Images are for a model with one input of (height, width, 1, 3 or 4). Received: "
            f"{path}, for {', '.join(map(str, places)) or 'a model without a graph'}."
        )
    classes = [one.name for one in path.iterdir() if one.is_dir()]
    mode = _label_mode(model)
    width = model.outputs[0].shape[-1]
    if (mode == "binary" and len(classes) != 2) or (mode != "binary" and len(classes) > width):
        raise ValueError(
            f"Expected a folder for each of the {2 if mode == 'binary' else width} classes of the "
            f"model in {path}. Received: {len(classes)}."
        )
    return keras.utils.image_dataset_from_directory(
        path,
        label_mode=mode,
        color_mode=_COLORS[shape[2]],
        batch_size=batch_size,
        image_size=shape[:2],
        seed=0,
        verbose=False,
    )


def _label_mode(model: keras.Model) -> str:
    """How the loss takes classes; without one, the output tells."""
    loss = getattr(model, "loss", None) if model.compiled else None
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or ""
    if "sparse" in name:
        return "int"
    if "binary" in name:
        return "binary"
    if "categorical" in name:
        return "categorical"
    return "binary" if model.outputs[0].shape[-1] == 1 else "int"
