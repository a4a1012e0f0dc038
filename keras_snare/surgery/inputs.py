"""A selection of input features in front of a model that begins with `Dense`."""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import trace
from keras_snare.layers import FeatureSelection
from keras_snare.surgery import variables


class InputSelection:
    """Puts a `FeatureSelection` in front of a model's first `Dense` layer, and takes it out again.

    The selection passes everything on at first; cutting its channels drops input features. Where a
    selection is there already, it is the one that is cut, and it stays.

    Args:
        model: a built Sequential or functional model.

    Raises:
        UnsupportedModelError: when the first layer with weights is no `Dense` layer on features.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._undo: Any = None
        graph = trace(model, lay_open=False)
        if not graph.recorded:
            raise UnsupportedModelError(
                "prune_inputs=True puts a layer in front of a Sequential or functional model. "
                f"Received: the subclassed model {model.name!r}."
            )
        first = next((call for call in graph.calls if getattr(call.operation, "weights", [])), None)
        shape = tuple(size or 0 for size in graph.shape(first.inputs[0])) if first else ()
        if first is None or type(first.operation) is not keras.layers.Dense or len(shape) != 2:
            found = "none" if first is None else f"{first.name} ({type(first.operation).__name__})"
            raise UnsupportedModelError(
                "prune_inputs=True drops features in front of a first Dense layer with inputs of "
                f"shape (batch, features). The first layer with weights here is: {found}."
            )
        self._dense = first.operation
        self._tensor = first.inputs[0]
        self._features = shape[1]
        found = [call.operation for call in graph.calls if self._tensor in call.outputs]
        self._own = not (found and isinstance(found[0], FeatureSelection))
        own = FeatureSelection(range(self._features), name="input_selection")
        self.layer = own if self._own else found[0]

    def insert(self) -> None:
        """Puts the selection in."""
        if not self._own:
            return
        if any(layer.name == self.layer.name for layer in self.model.layers):
            raise UnsupportedModelError(
                f"The model has a layer named {self.layer.name!r} already. Give it another name, "
                "or leave prune_inputs out: a FeatureSelection is pruned like any layer."
            )
        if isinstance(self.model, keras.Sequential):
            self._rebuild_sequential(add=True)
        else:
            self._undo = variables.graph_of(self.model)
            variables.put_back_graph(self.model, variables.graph_of(self._with_selection()))
        self._drop_functions()

    def remove_if_idle(self) -> None:
        """Takes the selection out again unless it drops something."""
        features = trace(self.model, lay_open=False)
        selected = [call for call in features.calls if call.operation is self.layer]
        if not self._own or not selected or len(self.layer.indices) < self._features:
            return
        if isinstance(self.model, keras.Sequential):
            self._rebuild_sequential(add=False)
        else:
            variables.put_back_graph(self.model, self._undo)
        self._drop_functions()

    def with_inputs(self, layers: Any) -> Any:
        """Adds the selection to a user's choice of layers."""
        if layers is None:
            return None
        several = isinstance(layers, (list, tuple, set, frozenset))
        return [*(layers if several else [layers]), self.layer.name]

    def _rebuild_sequential(self, add: bool) -> None:
        layers = list(self.model.layers)
        for _ in layers:
            self.model.pop(rebuild=False)
        layers = [layer for layer in layers if layer is not self.layer]
        if add:
            layers.insert(layers.index(self._dense), self.layer)
        for layer in layers:
            self.model.add(layer, rebuild=layer is layers[-1])

    def _with_selection(self) -> keras.Model:
        graph = trace(self.model, lay_open=False)
        values = {key: graph.tensors[key][0] for key in graph.inputs}
        for call in graph.calls:
            if self._tensor in call.inputs and self._tensor in values and not self.layer.built:
                values[self._tensor] = self.layer(values[self._tensor])
            values.update(zip(call.outputs, call.apply(values), strict=True))
        outputs = [values[key] for key in graph.outputs]
        structured = keras.tree.pack_sequence_as(self.model.output, outputs)
        return keras.Model(self.model.input, structured, name=self.model.name)

    def _drop_functions(self) -> None:
        self.model.train_function = self.model.test_function = self.model.predict_function = None
