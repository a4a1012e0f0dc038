"""What the numbers of a variable lie on: the pixels a dense layer reads, or a filter's taps."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_snare.codec.coding import check_grid, plain_grid
from keras_snare.codec.transforms import MAX_LENGTH, Grid
from keras_snare.graph import Trace, trace

# These leave each feature where it is.
_PASSING = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.GaussianNoise,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
)
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)


def grids_of(model: keras.Model, given: Mapping[str, Any]) -> dict[int, Grid]:
    """Returns the grids of a model's kernels by the id of the variable.

    Args:
        model: Keras model.
        given: grids by path that are known.

    Raises:
        ValueError: when a given grid is not that of the variable, or there is not one of that name.
    """
    found = {}
    graph = trace(model)
    for call in graph.calls:
        layer = call.operation
        grid, kernel = None, None
        if type(layer) is keras.layers.Dense:
            grid, kernel = _flattened(graph, call.inputs[0]), layer.kernel
        elif isinstance(layer, _CONVOLUTIONS) and max(layer.kernel_size) > 1:
            grid, kernel = tuple(layer.kernel_size), layer.kernel
        # Of a layer with LoRA matrices the kernel is a sum, and no variable.
        if grid and isinstance(kernel, keras.Variable) and max(grid[:2]) <= MAX_LENGTH:
            found[id(kernel)] = grid
    check_grids(given)
    for path, grid in given.items():
        variable = named(path, model.variables, "grids")
        found[id(variable)] = plain_grid(grid, "grids")
        check_grid(found[id(variable)], tuple(variable.shape))
    return found


def check_grids(given: Any) -> None:
    """Checks the argument `grids` as far as it can be judged without the model.

    Raises:
        TypeError: when it is no mapping.
        ValueError: when what it holds are no grids.
    """
    if not isinstance(given, (Mapping, type(None))):
        raise TypeError(
            "`grids` is a dictionary from paths of variables to the grids of their features, or "
            f"None. Received: grids={given!r}"
        )
    for path, grid in (given or {}).items():
        plain_grid(grid, f"grids[{path!r}]")


def named(path: Any, variables: Sequence[Any], argument: str) -> Any:
    """Returns the variable of a path.

    Raises:
        ValueError: when there is none, or several have this path.
    """
    found = [one for one in variables if one.path == path]
    if not found:
        raise ValueError(
            f"`{argument}` are by the path of a variable. Received: {path!r}. Known: "
            f"{', '.join(one.path for one in variables)}."
        )
    if len(found) > 1:
        raise ValueError(
            f"`{argument}` are by the path of one variable. Received: {path!r}, which is that of "
            f"{len(found)}. Give their layers names of their own."
        )
    return found[0]


def _flattened(graph: Trace, key: int) -> Grid | None:
    """The grid that was flattened into a tensor, if one was."""
    made = {output: call for call in graph.calls for output in call.outputs}
    while key in made and isinstance(made[key].operation, _PASSING):
        key = made[key].inputs[0]
    if key not in made or not isinstance(made[key].operation, keras.layers.Flatten):
        return None
    shape = [size or 0 for size in graph.shape(made[key].inputs[0])[1:]]
    last = made[key].operation.data_format == "channels_last"
    known = len(shape) == 2 or (len(shape) == 3 and last)
    return tuple(shape) if known and all(shape) else None
