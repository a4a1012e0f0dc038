"""Which weights are trained for few bytes, and on which grids they lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.codec.grids import grids_of
from keras_snare.codec.transforms import MAX_LENGTH
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import trace
from keras_snare.layers.cosines import Grid
from keras_snare.masking import kernels_of


@dataclass(frozen=True, eq=False)
class Place:
    """One variable, and how its numbers lie.

    Args:
        name: str, the variable's path, such as `"dense1/kernel"`.
        variable: the Keras variable.
        grid: what its leading features lie on, or None.
        cosines: bool, whether it is trained and coded in the grid's basis of cosines.
    """

    name: str
    variable: Any
    grid: Grid | None = None
    cosines: bool = False

    @property
    def basis(self) -> Grid | None:
        """The grid in whose basis of cosines it is trained, or None."""
        return self.grid if self.cosines else None


def places_of(
    model: keras.Model,
    layers: Any = None,
    grids: Mapping[str, Grid] | None = None,
    *,
    cosines: bool = True,
) -> list[Place]:
    """Returns the kernels of a model that are trained, and the biases beside them.

    Args:
        model: a built Keras model that has a graph.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.
        grids: by path of a variable, what its leading features lie on, as `pack` takes them.
        cosines: bool, whether kernels that read pixels, and those of `grids`, are trained in a
            basis of cosines. Those with a constraint are not: it is one on the weights themselves.

    Raises:
        TypeError, ValueError, UnsupportedModelError: as `kernels_of` does; and when the model has
            no graph, or `grids` names no kernel of these layers or has another size.
    """
    kernels = kernels_of(model, layers)
    given = dict(grids or {})
    known, pixels = grids_of(model, given), _readers_of_pixels(model)
    found = []
    for kernel in kernels:
        variable = kernel.variable
        smooth = id(kernel.owner) in pixels or variable.path in given
        basis = cosines and smooth and variable.constraint is None
        grid = known.get(id(variable))
        found.append(Place(variable.path, variable, grid, basis and grid is not None))
    found += _biases(model, found)
    _check_names(found, model, given)
    return found


def _biases(model: keras.Model, kernels: list[Place]) -> list[Place]:
    beside = {_folder(one.name) for one in kernels}
    return [
        Place(one.path, one)
        for one in model.trainable_variables
        if one.name.endswith("bias") and len(one.shape) == 1 and _folder(one.path) in beside
    ]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _check_names(places: list[Place], model: keras.Model, given: Mapping[str, Grid]) -> None:
    names, paths = [one.name for one in places], [one.path for one in model.variables]
    for name in names:
        if paths.count(name) > 1:
            raise UnsupportedModelError(
                f"Expected variables of different paths. Received: model {model.name!r}, in which "
                f"{paths.count(name)} are {name!r}. Give their layers names of their own."
            )
    others = [name for name in given if name not in names]
    if others:
        raise ValueError(
            "`grids` are those of kernels that are trained for few bytes. Received: "
            f"{others[0]!r}. Known: {', '.join(names)}."
        )
    for name, grid in given.items():
        if max(grid[:2]) > MAX_LENGTH:
            raise ValueError(
                f"`grids` have lines of at most {MAX_LENGTH} places, of which a file gives the "
                f"cosines back exactly. Received: {tuple(grid)} for {name!r}. Leave it out."
            )


def _readers_of_pixels(model: keras.Model) -> set[int]:
    """Ids of the dense layers that read an input of the model, flattened, each pixel by itself."""
    graph = trace(model)
    pixels, found = set(graph.inputs), set()
    for call in graph.calls:
        layer, read = call.operation, bool(call.inputs) and pixels.issuperset(call.inputs)
        if read and type(layer) is keras.layers.Dense:
            found.add(id(layer))
        elif read and isinstance(layer, keras.layers.Layer) and not layer.trainable_variables:
            flat = isinstance(layer, keras.layers.Flatten)
            same = graph.shape(call.outputs[0]) == graph.shape(call.inputs[0])
            pixels.update(call.outputs if flat or same else ())
    return found
