"""Resizes what Keras holds of a layer: variables, symbolic shapes, build shapes, compiled steps.

Stands in for `variable.assign`, which refuses another shape, and for `layer.build`, which would
make new variables and lose the optimizer's tie to the old ones.
"""

import math
from typing import Any

import keras
import numpy as np


def value_object(variable) -> Any:
    """Returns the backend's own object behind a variable."""
    return variable._value


def array_of(value: Any) -> np.ndarray:
    """Returns the array behind a variable or tensor, to be read only.

    Where the backend allows, it is not copied, so that it holds as long as nothing is assigned.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # NumPy, `convert_to_numpy` and variables would copy.
        return tf.convert_to_tensor(value).__array__()
    return keras.ops.convert_to_numpy(value)


def put_back(variable, value: Any) -> None:
    """Makes a backend object that `value_object` returned the variable's own again."""
    variable._value = value
    variable._shape = tuple(value.shape)
    variable._ndim = len(variable._shape)


def resize(variable, keep: dict[int, np.ndarray]) -> None:
    """Gives a variable other positions in place; the old backend object stays as it was.

    Args:
        variable: a Keras variable.
        keep: axis (counted from the front) to the positions that stay; -1 is a new one of zeros.
    """
    value = variable._value
    for axis, positions in keep.items():
        value = _taken(value, positions, axis)
    variable._shape = tuple(value.shape)
    variable._ndim = len(variable._shape)
    variable._initialize(value)


def _taken(value: Any, positions: np.ndarray, axis: int) -> Any:
    """Positions of a backend object along an axis, -1 for zeros, as what a variable is made from.

    On TensorFlow that is a tensor, which becomes the variable's own. An array would be copied
    twice on the way, and outside of the memory that TensorFlow keeps for tensors.
    """
    new = positions < 0
    if new.any() or keras.backend.backend() != "tensorflow":
        found = array_of(value).take(positions, axis=axis)
        np.moveaxis(found, axis, 0)[new] = 0
        return found
    import tensorflow as tf

    # A variable that is gathered from directly is copied at every later read.
    return tf.gather(tf.convert_to_tensor(value), positions, axis=axis)


def set_tensor_shape(tensor, shape: tuple[int | None, ...]) -> None:
    """Changes the shape that a symbolic tensor shows, and the input layer that it comes from."""
    tensor._shape = tuple(shape)
    origin = tensor._keras_history.operation
    if isinstance(origin, keras.layers.InputLayer):
        origin._batch_shape = tuple(shape)


def set_attribute(operation, name: str, value: Any) -> None:
    """Sets an attribute, and the constructor's argument of that name that `save` stores."""
    setattr(operation, name, value)
    recorded = getattr(operation, "_auto_config", None)
    if recorded is not None and name in recorded.config:
        recorded.config[name] = value


def stated_arguments(arguments) -> tuple[tuple, dict]:
    """What a recorded call passes, for `state_arguments`."""
    return arguments.args, arguments.kwargs


def state_arguments(arguments, args: tuple, kwargs: dict) -> None:
    """Makes a recorded call pass something else beside the tensors."""
    arguments.args, arguments.kwargs = args, kwargs


def build_shapes(layer: keras.layers.Layer) -> dict[str, Any] | None:
    """Returns the shapes a layer was built with, by argument of its `build`."""
    recorded = layer._build_shapes_dict
    return recorded and dict(recorded)


def set_build_shapes(layer: keras.layers.Layer, shapes: dict[str, Any] | None) -> None:
    """Changes the shapes that `layer.get_build_config()` answers and `model.save` stores."""
    recorded = layer._build_shapes_dict
    if recorded and shapes:
        # Assigning another dictionary would have Keras note one more tracked attribute every time.
        recorded.clear()
        recorded.update(shapes)


def rebuilt_shapes(
    layer: keras.layers.Layer, input_shapes: list[tuple], named: dict[str, int]
) -> dict[str, Any] | None:
    """Returns a layer's build shapes for other input shapes, in the structure they have now.

    Args:
        layer: the layer.
        input_shapes: its inputs' shapes now.
        named: for arguments of `call` that are one tensor, the number of the input.
    """
    recorded = build_shapes(layer)
    if not recorded or not input_shapes:
        return recorded
    rebuilt = {}
    for at, (name, shapes) in enumerate(recorded.items()):
        argument = name.removesuffix("_shape")
        if bool(shapes) and isinstance(shapes[0], (list, tuple)):
            rebuilt[name] = list(input_shapes)
        elif argument in named:
            rebuilt[name] = tuple(input_shapes[named[argument]])
        else:
            rebuilt[name] = shapes if at else tuple(input_shapes[0])
    return rebuilt


def scale(variable, factor: float) -> None:
    """Multiplies a variable by a number."""
    variable.assign(keras.ops.convert_to_numpy(variable.value) * factor)


def attention_attributes(
    layer: keras.layers.Layer, heads: int, key: int, value: int, model: int | None
) -> dict:
    """The attributes in which `MultiHeadAttention` keeps its widths.

    Args:
        layer: the layer.
        heads: int, number of heads.
        key: int, width of queries and keys.
        value: int, width of values.
        model: int, width of the output, or None where it is that of the query.
    """
    return {
        "_num_heads": heads,
        "_key_dim": key,
        "_value_dim": value,
        "_output_shape": layer._output_shape if model is None else (model,),
        "_inverse_sqrt_key_dim": 1.0 / math.sqrt(key),
    }


# The attributes in which `Normalization` keeps the shapes that it was built for.
NORMALIZATION = ("_build_input_shape", "_mean_and_var_shape", "_broadcast_shape")
ATTENTION = ("_num_heads", "_key_dim", "_value_dim", "_output_shape", "_inverse_sqrt_key_dim")


def normalization_attributes(layer: keras.layers.Layer, input_shape: tuple) -> dict:
    """The attributes in which `Normalization` keeps the shapes of its input and its statistics."""
    axes = {axis % len(input_shape) for axis in layer.axis}
    return {
        "_build_input_shape": input_shape,
        "_mean_and_var_shape": tuple(input_shape[axis] for axis in sorted(axes)),
        "_broadcast_shape": [size if axis in axes else 1 for axis, size in enumerate(input_shape)],
    }


def grouped_attention_attributes(heads: int, asking: int, width: int, model: int) -> dict:
    """The attributes in which `GroupQueryAttention` keeps its widths."""
    return {
        "num_key_value_heads": heads,
        "num_query_heads": asking,
        "head_dim": width,
        "feature_dim": model,
        "_inverse_sqrt_head_dim": 1.0 / math.sqrt(width),
    }


GROUPED_ATTENTION = (
    "num_key_value_heads",
    "num_query_heads",
    "head_dim",
    "feature_dim",
    "_inverse_sqrt_head_dim",
)


def begin_at_epoch(model: keras.Model, epoch: int | None) -> None:
    """Has the running `fit`, or the next one, begin at an epoch, as `BackupAndRestore` does.

    None, and 0, leave it to the `initial_epoch` of `fit`.
    """
    model._initial_epoch = epoch


_GRAPH = (
    "_inputs_struct",
    "_outputs_struct",
    "_inputs",
    "_outputs",
    "_nodes",
    "_nodes_by_depth",
    "_operations",
    "_operations_by_depth",
    "output_names",
)


def graph_of(model: keras.Model) -> dict[str, Any]:
    """Returns the graph that a functional model runs, for `put_back_graph`."""
    return {name: getattr(model, name) for name in _GRAPH}


def put_back_graph(model: keras.Model, graph: dict[str, Any]) -> None:
    """Makes a functional model run another graph; its own layers and variables stay."""
    for name, value in graph.items():
        object.__setattr__(model, name, value)
