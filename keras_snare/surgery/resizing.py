"""Variables of a live model with other positions, and what has to follow them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from keras_snare.graph import Trace
from keras_snare.graph.trace import compiled_functions
from keras_snare.replicas import check_strategy, scope_of
from keras_snare.surgery import optimizers, variables
from keras_snare.surgery.positions import Positions, slot_positions
from keras_snare.surgery.snapshot import Snapshot, take_snapshot


@contextmanager
def resized(
    model: keras.Model, graph: Trace, keep: Mapping[int, tuple[Any, Positions]]
) -> Iterator[Snapshot]:
    """Resizes variables in place, with the optimizer's slots; undone when the body raises.

    Args:
        model: the model.
        graph: its trace.
        keep: by id of a variable, the variable and its positions as `variables.resize` takes them.

    Yields:
        `Snapshot` of the model as it was. The body brings everything else of it into line.

    Raises:
        UnsupportedModelError: when its variables lie where they cannot be resized, or the optimizer
            holds some of which it is not known what they belong to.
    """
    check_strategy(model)
    optimizer = optimizers.built_optimizer(model)
    slots = slot_positions(optimizer, keep)
    keys = optimizers.variable_keys(optimizer, [variable for variable, _ in keep.values()])
    replaced = {*keep, *(id(value) for value, _ in slots)}
    snapshot = take_snapshot(model, graph, frozenset(replaced))
    try:
        if keep:
            with scope_of(model):
                for variable, axes in (*slots, *keep.values()):
                    variables.resize(variable, axes)
            optimizers.rename_keys(optimizer, keys)
            _drop_functions(model)
        yield snapshot
    except BaseException:
        snapshot.restore()
        raise


def _drop_functions(model: keras.Model) -> None:
    """Drops the compiled steps; they refer to the old variables."""
    trained = model.train_function is not None
    for one, functions in compiled_functions(model):
        for name in functions:
            setattr(one, name, None)
    if trained:
        model.make_train_function()
