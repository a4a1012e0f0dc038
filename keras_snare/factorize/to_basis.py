"""Dense layers of a trained model as `DCTDense`, by least squares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import check_count, is_whole
from keras_snare.criteria import check_data
from keras_snare.criteria.batches import batches, flat_inputs
from keras_snare.errors import UnsupportedModelError
from keras_snare.factorize.exchanging import check_classes, exchanged
from keras_snare.factorize.moments import check_finite
from keras_snare.graph import Call, Trace, recorded_graph
from keras_snare.graph.rules.dense import has_adapter
from keras_snare.layers import DCTDense
from keras_snare.layers.cosines import checked_coefficients, spectrum, support
from keras_snare.policy import check_layers, means

# What a layer in the basis has of the dense one.
_KEPT = (
    "name",
    "trainable",
    "units",
    "activation",
    "use_bias",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "bias_constraint",
)


@dataclass(frozen=True, eq=False)
class _Place:
    """A dense layer, and the grid that its features lie on."""

    call: Call
    grid: tuple[int, ...]

    @property
    def layer(self) -> Any:
        return self.call.operation


def to_basis(
    model: keras.Model,
    coefficients: Any = 0.25,
    *,
    layers: Any = None,
    input_grids: Mapping[str, tuple[int, ...]] | None = None,
    data: Any = None,
    batch_size: int = 128,
) -> keras.Model:
    """Returns a trained model with `DCTDense` in the place of dense layers, with fewer weights.

    The frequencies of a kernel that matter most are kept, and their coefficients fitted by least
    squares: to the kernel, or with `data` to what the layer computes on them. Train on afterwards.

    Args:
        model: a built Sequential or functional model. It is not changed.
        coefficients: int, float or integers, how many frequencies are kept, as `DCTDense` takes
            them; of a count or a share, those with the most energy rather than the lowest.
        layers: which dense layers: names, regular expressions, layer classes, or a predicate. None
            for those whose inputs are known to lie on a grid.
        input_grids: by name of the layer, the grid that its features lie on. Behind a `Flatten` it
            is found; a layer without one is taken to read a line.
        data: `(x,)` or `(x, y)` arrays, a tf.data.Dataset or a keras.utils.PyDataset, of a few
            hundred examples; None leaves them out.
        batch_size: int, for arrays.

    Returns:
        A new model of the same class, compiled as `model` is, whose optimizer begins anew. Where
        Keras cannot find its loss or metrics again, it is not compiled, and a warning says so.

    Raises:
        TypeError, ValueError: when an argument is out of range, or no layer is meant.
        UnsupportedModelError: when the model is subclassed and computes by code of its own, or its
            class has a constructor that builds the layers; when a layer that is meant is quantized
            or has LoRA matrices or a constraint, or another one cannot be built from its
            configuration.

    Example:

    >>> model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
    >>> smaller = keras_snare.to_basis(model, 16)
    >>> smaller.layers[1].kernel.shape
    (16, 16)

    Reference:
        Wang et al., "CNNpack: Packing Convolutional Neural Networks in the Frequency Domain",
        NeurIPS 2016.
    """
    coefficients = checked_coefficients(coefficients)
    check_layers(layers)
    check_count("batch_size", batch_size)
    grids = _checked_grids(input_grids)
    if data is not None:
        check_data(data, "data", False)
    graph = recorded_graph(model)
    places = _places(graph, layers, grids)
    check_classes(graph, model, [one.layer for one in places])
    kept = {id(one.layer): support(one.grid, coefficients) for one in places}
    moments = None if data is None else _moments(graph, places, data, batch_size)
    fitted = {}
    for one in places:
        moment = None if moments is None else moments[id(one.layer)]
        exact = isinstance(coefficients, tuple)
        fitted[id(one.layer)] = _fitted(one, kept[id(one.layer)], moment, exact)
    found = exchanged(model, {at: [layer] for at, (layer, _) in fitted.items()})
    for layer, weights in fitted.values():
        layer.set_weights(weights)
    return found


def _checked_grids(given: Any) -> dict[str, tuple[int, ...]]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(
            "`input_grids` is a mapping from names of layers to grids. Received: input_grids="
            f"{given!r}"
        )
    for name, grid in (given or {}).items():
        sizes = grid if isinstance(grid, (tuple, list)) else ()
        if not 1 <= len(sizes) <= 3 or not all(is_whole(one) and one > 0 for one in sizes):
            raise ValueError(
                "A grid of `input_grids` is (height, width), (height, width, channels) or "
                f"(length,), in integers. Received: {name!r}: {grid!r}"
            )
    return {name: tuple(map(int, grid)) for name, grid in (given or {}).items()}


def _places(graph: Trace, layers: Any, grids: dict[str, tuple[int, ...]]) -> list[_Place]:
    dense: dict[int, _Place] = {}
    for call in graph.calls:
        layer = call.operation
        if type(layer) is not keras.layers.Dense or id(layer) in dense:
            continue
        grid = grids.get(call.name) or _flattened(graph, call.inputs[0])
        if means(layers, call.name, layer) if layers is not None else grid is not None:
            grids.pop(call.name, None)
            dense[id(layer)] = _Place(call, tuple(grid or (layer.kernel.shape[0],)))
            _check(dense[id(layer)])
    if grids:
        raise ValueError(
            "`input_grids` names dense layers of the model, and of those that `layers` means. "
            f"Received: {next(iter(grids))!r}"
        )
    if not dense:
        known = [one.name for one in graph.calls if type(one.operation) is keras.layers.Dense]
        raise ValueError(
            f"Expected a dense layer on a grid, behind Flatten, or `layers` that name one. "
            f"Received: layers={layers!r}. Dense layers: {', '.join(known) or 'none'}."
        )
    return list(dense.values())


def _check(place: _Place) -> None:
    layer, name = place.layer, place.call.name
    if has_adapter(layer):
        raise UnsupportedModelError(
            f"Expected a kernel as it was trained. Received: layer {name!r}, which is "
            "quantized or has LoRA matrices. Convert first, and quantize or adapt what comes out."
        )
    if layer.kernel_constraint is not None:
        raise UnsupportedModelError(
            f"Expected a kernel without constraint, which would hold for its coefficients. "
            f"Received: layer {name!r} with {layer.kernel_constraint}. Leave the layer out."
        )
    if not np.isfinite(keras.ops.convert_to_numpy(layer.kernel).astype("float64")).all():
        raise ValueError(
            f"Expected finite weights. Received: layer {name!r}, whose kernel has NaN or infinite "
            "ones. Go back to an epoch before them."
        )
    features = layer.kernel.shape[0]
    if int(np.prod(place.grid)) != features:
        raise ValueError(
            f"The features of layer {name!r} lie on a grid of {features}. Received: "
            f"input_grids={place.grid}"
        )


def _flattened(graph: Trace, key: int) -> tuple[int, ...] | None:
    """The grid that was flattened into a tensor, if one was."""
    for call in graph.calls:
        if key in call.outputs and isinstance(call.operation, keras.layers.Flatten):
            shape = [size or 0 for size in graph.shape(call.inputs[0])[1:]]
            if call.operation.data_format == "channels_first":
                shape = [*shape[1:], *shape[:1]]  # It puts the first axis behind the others.
            return tuple(shape) if 2 <= len(shape) <= 3 and all(shape) else None
    return None


def _fitted(place: _Place, kept: tuple[int, ...], moment: Any, exact: bool) -> tuple[Any, list]:
    """The layer that stands for a dense one, and its weights."""
    layer = place.layer
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype("float64")
    every = spectrum(kernel, place.grid)
    seen = np.ones(len(every)) if moment is None else np.diag(moment[1]) + moment[0] ** 2
    if not exact:
        energy = seen * np.sum(every**2, axis=1)
        kept = tuple(np.sort(np.argsort(-energy, kind="stable")[: len(kept)]).tolist())
    chosen = every[list(kept)]
    bias = None if layer.bias is None else keras.ops.convert_to_numpy(layer.bias).astype("float64")
    if moment is not None:
        mean, spread = moment
        if bias is None:
            spread = spread + np.outer(mean, mean)
        part = spread[np.ix_(kept, kept)]
        # Of what the inputs say nothing about, the coefficients stay near those of the kernel.
        energy = 1e-6 * np.trace(spread) + 1e-12 * mean @ mean
        ridge = max(energy / len(spread), np.finfo("float32").tiny) * np.eye(len(kept))
        chosen = np.linalg.solve(part + ridge, spread[list(kept)] @ every + ridge @ chosen)
        if bias is not None:
            bias = bias + mean @ every - mean[list(kept)] @ chosen
    # No configuration: what it says of objects would have to be found again.
    settings = {name: getattr(layer, name) for name in _KEPT} | {"dtype": layer.dtype_policy}
    grid = place.grid if len(place.grid) > 1 else None
    made = DCTDense(coefficients=list(kept), input_grid=grid, **settings)
    return made, [chosen, *([] if bias is None else [bias])]


def _moments(graph: Trace, places: list[_Place], data: Any, batch_size: int) -> dict[int, Any]:
    """Mean and covariance of the spectra of what each layer reads."""
    grids = {id(one.layer): one.grid for one in places}
    sums: dict[int, list[Any]] = {at: [0, 0.0, 0.0] for at in grids}

    def read(call, key, value):
        at = id(call.operation)
        if at in grids:
            rows = keras.ops.convert_to_numpy(value).astype("float64")
            check_finite(call.name, rows)
            found = spectrum(rows.reshape(-1, rows.shape[-1]).T, grids[at])
            sums[at][0] += found.shape[1]
            sums[at][1] = sums[at][1] + found.sum(axis=1)
            sums[at][2] = sums[at][2] + found @ found.T
        return value

    for x, _ in batches(data, batch_size):
        graph.run(flat_inputs(graph, x), read)
    found = {}
    for at, (count, total, squares) in sums.items():
        if not count:
            raise ValueError("`data` are one example or more. Received: none. Give at least one.")
        mean = total / count
        found[at] = mean, squares / count - np.outer(mean, mean)
    return found
