"""Batches of `fit` as flat lists in the order of a model's inputs and outputs."""

from typing import Any

import keras

from keras_snare.graph.trace import input_structure_of


def inputs_in_order(model, x: Any) -> list[Any]:
    """Returns the inputs of a batch in the order of `model.inputs`; what is missing is left out.

    Args:
        model: a Sequential or functional model, or the graph that was read of a subclassed one.
        x: an array, or a list, tuple or dictionary of arrays.
    """
    names = _names(_structure(model), [one.name for one in model.inputs])
    return _in_order(x, names)


def outputs_in_order(model, y: Any) -> list[Any]:
    """Returns what belongs to each of `model.outputs`, such as labels or weights of examples.

    Args:
        model: a Sequential or functional model.
        y: an array, or a list, tuple or dictionary of arrays.
    """
    if len(model.outputs) == 1 and not isinstance(y, dict):
        return [y]
    return _in_order(y, output_names(model))


def output_names(model) -> list[str]:
    """Returns the names of the outputs of a model, in the order of `model.outputs`."""
    if isinstance(model, keras.Sequential):
        return [model.layers[-1].name]
    return _names(model.output, list(model.output_names))


def _structure(model) -> Any:
    if isinstance(model, keras.Sequential):
        return None
    if isinstance(model, keras.Model):
        return model.input
    arguments = input_structure_of(model)
    return arguments[0] if len(arguments) == 1 else arguments


def _names(structure: Any, names: list[str]) -> list[str]:
    # Keras flattens a dictionary by its sorted keys.
    return sorted(structure) if isinstance(structure, dict) else names


def _in_order(given: Any, names: list[str]) -> list[Any]:
    if isinstance(given, dict):
        return [given[name] for name in names if name in given]
    return keras.tree.flatten(given)
