"""The outputs of a model: how many there are, what they are called, and what makes them."""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Trace, last_activation, trace


class Outputs:
    """What can be told of a model's outputs before it runs.

    Args:
        model: a built model.

    Attributes:
        graph: `Trace`, or None where the model's code hides it.
        names: of the outputs, flat, or None.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.graph = _graph(model)
        self.names: list[str] | None = getattr(model, "output_names", None)

    @property
    def by_name(self) -> bool:
        """Whether the model answers with a dictionary."""
        return self.graph is not None and isinstance(self.graph.structure, dict)

    def shapes(self, what: str) -> list[tuple]:
        """Shapes of the `"inputs"` or the `"outputs"`, where there is a graph."""
        assert self.graph is not None, "there is a graph"
        return [self.graph.shape(key) for key in getattr(self.graph, what)]

    def spread(self, value: Any, argument: str) -> list[Any]:
        """Returns a value for each output.

        Args:
            value: one for all of them; or a list, tuple or dictionary as the model answers with, or
                by the names of the outputs. Where there is no graph, it tells the structure.
            argument: what to call the value in messages.

        Raises:
            ValueError: when the structures do not match.
        """
        structure = value if self.graph is None else self.graph.structure
        count = len(keras.tree.flatten(structure))
        if not isinstance(value, (list, tuple, dict)):
            return [value] * count
        if isinstance(value, dict):
            order = sorted(structure) if isinstance(structure, dict) else self.names or []
            if value.keys() == set(order):
                return [value[name] for name in order]
        elif not isinstance(structure, dict) and len(value) == count:
            return list(value)
        named = f" named {', '.join(self.names)}" if self.names else ""
        raise ValueError(
            f"`{argument}` has one entry per output, in the structure of the outputs, or one for "
            f"all of them. Received: {argument}={value!r} for {count} "
            f"output{'s' * (count != 1)}{named}."
        )

    def losses(self, count: int) -> list[Any]:
        """What the model was compiled with, for each output; None where that is not to be told."""
        return self.compiled(getattr(self.model, "loss", None), count)

    def compiled(self, given: Any, count: int) -> list[Any]:
        """An argument of `compile` for each output; it may leave outputs out."""
        if isinstance(given, dict):
            names = sorted(self.graph.structure) if self.graph and self.by_name else self.names
            return [given.get(name) for name in names or [None] * count]
        if isinstance(given, (list, tuple)):
            return list(given) if len(given) == count else [None] * count
        return [given] * count

    def activation(self, at: int) -> str:
        """Name of the activation that makes an output; `""` where there is none to be seen."""
        return "" if self.graph is None else last_activation(self.graph, at)


def _graph(model: keras.Model) -> Trace | None:
    try:
        return trace(model)
    except UnsupportedModelError:
        return None
