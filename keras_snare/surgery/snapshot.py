"""The state of a model before a cut, kept so that the cut can be undone to the bit."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.graph import Trace, trace
from keras_snare.graph.trace import compiled_functions, operations_of, recorded_tensors
from keras_snare.surgery import optimizers, variables
from keras_snare.surgery.attributes import attribute_names
from keras_snare.surgery.followers import cut_followers


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything of a model and its optimizer that a cut or a training step changes.

    Not included are the states of random generators and metrics, and layers or weights added
    later. `restore` may be called more than once.

    Args:
        model: the model.
        values: per variable its backend object and, unless a cut replaces that object, a copy.
        attributes: per operation, its width attributes.
        arguments: per call, what it was recorded to pass beside tensors.
        shapes: symbolic tensors and their shapes.
        build_shapes: per layer, the shapes it was built with.
        tables: the optimizers' tables of variables, and their content.
        functions: per model, also inside of it, the compiled steps; they refer to the backend
            objects in `values`, so that after `restore` none has to be traced again.
        followed: what followed the model's cuts, and the state of it.
    """

    model: Any
    values: list[tuple[Any, Any, Any]]
    attributes: list[tuple[Any, dict]]
    arguments: list[tuple[Any, tuple]]
    shapes: list[tuple[Any, tuple]]
    build_shapes: list[tuple[Any, dict | None]]
    tables: list[tuple[Any, Any]]
    functions: list[tuple[Any, dict[str, Any]]]
    followed: list[tuple[Any, Any]]

    def held_values(self) -> list[Any]:
        """Returns the values of the model's weights, then of its optimizer's variables."""
        return [value if copy is None else copy for _, value, copy in self.values]

    def restore(self) -> None:
        """Puts the model and its optimizer back to where they were."""
        for at, (variable, value, copy) in enumerate(self.values):
            variables.put_back(variable, value)
            if copy is None:
                # From here on training changes it, and a second call needs it as it was.
                self.values[at] = (variable, value, _copy(variable))
            else:
                variable.assign(copy)
        for layer, attributes in self.attributes:
            for name, value in attributes.items():
                variables.set_attribute(layer, name, value)
        for arguments, stated in self.arguments:
            variables.state_arguments(arguments, *stated)
        for tensor, shape in self.shapes:
            variables.set_tensor_shape(tensor, shape)
        for layer, shapes in self.build_shapes:
            variables.set_build_shapes(layer, shapes)
        optimizers.put_back_tables(self.tables)
        for follower, state in self.followed:
            follower.put_back(state)
        training = self.model.train_function is not None
        for model, functions in self.functions:
            for name, function in functions.items():
                setattr(model, name, function)
        if training and self.model.train_function is None:
            self.model.make_train_function()


def take_snapshot(
    model: keras.Model, graph: Trace | None = None, replaced: frozenset[int] = frozenset()
):
    """Records the state of a model.

    Args:
        model: a built Keras model.
        graph: its trace, if at hand.
        replaced: ids of variables that are about to be resized; the old backend object then
            keeps their values, so that they need no copy.

    Returns:
        `Snapshot`.
    """
    graph = graph or trace(model)
    optimizer = optimizers.built_optimizer(model)
    held = [*model.weights, *(optimizer.variables if optimizer is not None else ())]
    layers = operations_of(graph)
    return Snapshot(
        model,
        [
            (
                variable,
                variables.value_object(variable),
                None if id(variable) in replaced else _copy(variable),
            )
            for variable in held
        ],
        [
            (
                layer,
                {
                    name: getattr(layer, name)
                    for name in attribute_names(layer)
                    if hasattr(layer, name)
                },
            )
            for layer in layers
        ],
        [(call.arguments, variables.stated_arguments(call.arguments)) for call in graph.calls],
        [(tensor, tuple(tensor.shape)) for tensor in _symbolic_tensors(graph, layers)],
        [
            (layer, variables.build_shapes(layer))
            for layer in layers
            if isinstance(layer, keras.Layer)
        ],
        optimizers.variable_tables(optimizer),
        compiled_functions(model),
        [(follower, follower.state()) for follower in cut_followers(model)],
    )


def _symbolic_tensors(graph: Trace, layers: list[Any]) -> list[Any]:
    found = [tensor for aliases in graph.tensors.values() for tensor in aliases]
    found += [tensor for layer in layers for tensor in recorded_tensors(layer)]
    return list({id(tensor): tensor for tensor in found}.values())


def _copy(variable):
    return keras.ops.copy(variables.value_object(variable))
